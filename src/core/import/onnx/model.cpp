#include "core/import/onnx/model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "core/base/error.h"
#include "core/import/onnx/tensor.h"
#include "core/import/onnx/wire.h"

namespace seqlift {
namespace onnx {

namespace {

constexpr int deepest = 16;  // graphs inside of operators inside of graphs

[[noreturn]] void damaged(const std::string& why) {
  throw Error("file", "The file is no model of ONNX, or is damaged: " + why + ".");
}

// An attribute is a float32, and what was meant is the short decimal that it was made from: 0.01,
// not 0.00999999978. The same number in float32; in float64 that of the network it was made from.
double shortest(float number) {
  if (!std::isfinite(number)) {
    return number;
  }
  char text[32];
  for (int digits = 1; digits <= 9; ++digits) {
    std::snprintf(text, sizeof(text), "%.*e", digits - 1, static_cast<double>(number));
    const double decimal = std::strtod(text, nullptr);
    if (static_cast<float>(decimal) == number) {
      return decimal;
    }
  }
  return number;
}

class Reader {
 public:
  explicit Reader(const std::string& folder) : folder_(folder) {}

  Model model(Span span) {
    Model model;
    bool has_graph = false;
    each(span, [&](const Field& field) {
      switch (field.number) {
        case 2:
          model.producer = text(field);
          break;
        case 7:
          // A message that comes in parts is put together; no writer does it.
          if (has_graph) {
            damaged("it has two graphs");
          }
          has_graph = true;
          model.graph = graph(part(field), 0);
          break;
        case 8:
          version(part(field), model.versions);
          break;
        case 25:
          model.functions.push_back(function(part(field)));
          break;
        default:
          break;
      }
    });
    if (!has_graph) {
      damaged("it has no graph");
    }
    return model;
  }

 private:
  template <typename Body>
  static void each(Span span, const Body& body) {
    WireReader reader(span);
    Field field;
    while (reader.next(field)) {
      body(field);
    }
  }

  static Span part(const Field& field) {
    if (field.type != Field::Type::bytes) {
      damaged("field " + std::to_string(field.number) + " has another form");
    }
    return field.bytes;
  }

  static std::string text(const Field& field) { return part(field).text(); }

  static void version(Span span, std::map<std::string, int64_t>& versions) {
    std::string domain;
    int64_t number = 0;
    each(span, [&](const Field& field) {
      if (field.number == 1) {
        domain = text(field);
      } else if (field.number == 2) {
        number = field.whole();
      }
    });
    versions[plain_domain(domain)] = number;
  }

  static std::string plain_domain(const std::string& domain) {
    return domain == "ai.onnx" ? "" : domain;
  }

  Graph graph(Span span, int depth) {
    if (depth > deepest) {
      damaged("its graphs are more than " + std::to_string(deepest) + " deep inside each other");
    }
    Graph graph;
    std::set<std::string> given;
    each(span, [&](const Field& field) {
      switch (field.number) {
        case 1:
          graph.nodes.push_back(node(part(field), depth));
          break;
        case 5:
          graph.initializers.push_back(read_tensor(part(field), folder_));
          given.insert(graph.initializers.back().first);
          break;
        case 11:
          graph.inputs.push_back(input(part(field)));
          break;
        case 12:
          graph.outputs.push_back(input(part(field)).name);
          break;
        case 15:
          throw Error("model", "The model has weights that are stored as sparse tensors, which " +
                                   std::string("are not read here."));
        default:
          break;
      }
    });
    // Before version 4 of the format every initializer had to be an input too.
    graph.inputs.erase(
        std::remove_if(graph.inputs.begin(), graph.inputs.end(),
                       [&](const Input& input) { return given.count(input.name) > 0; }),
        graph.inputs.end());
    return graph;
  }

  static Input input(Span span) {
    Input input;
    each(span, [&](const Field& field) {
      if (field.number == 1) {
        input.name = text(field);
      } else if (field.number == 2) {
        each(part(field), [&](const Field& type) {
          if (type.number == 1) {
            tensor_type(part(type), input);
          }
        });
      }
    });
    return input;
  }

  static void tensor_type(Span span, Input& input) {
    int64_t type = 1;
    each(span, [&](const Field& field) {
      if (field.number == 1) {
        type = field.whole();
      } else if (field.number == 2) {
        input.tensor = true;
        each(part(field), [&](const Field& dimension) {
          if (dimension.number == 1) {
            input.sizes.push_back(size_of(part(dimension)));
          }
        });
      }
    });
    // The type of an output may be anything that is not looked at.
    input.tensor = input.tensor && type > 0 && type != 8 && type != 14 && type != 15 && type < 17;
    if (input.tensor) {
      input.dtype = scalar_type(type, "The tensor \"" + printable(input.name) + "\"");
    }
  }

  static int64_t size_of(Span span) {
    int64_t size = -1;
    each(span, [&](const Field& field) {
      if (field.number == 1) {
        size = field.whole();
      }
    });
    return size < 1 ? -1 : size;
  }

  Node node(Span span, int depth) {
    Node node;
    each(span, [&](const Field& field) {
      switch (field.number) {
        case 1:
          node.inputs.push_back(text(field));
          break;
        case 2:
          node.outputs.push_back(text(field));
          break;
        case 3:
          node.name = text(field);
          break;
        case 4:
          node.operation = text(field);
          break;
        case 5:
          node.attributes.push_back(attribute(part(field), depth));
          break;
        case 7:
          node.domain = plain_domain(text(field));
          break;
        default:
          break;
      }
    });
    return node;
  }

  Attribute attribute(Span span, int depth) {
    Attribute attribute;
    int64_t type = 0;
    std::vector<float> floats;
    std::string reference;
    each(span, [&](const Field& field) {
      using Type = Attribute::Type;
      switch (field.number) {
        case 1:
          attribute.name = text(field);
          break;
        case 2:
          attribute.number = shortest(field.real());
          attribute.type = Type::real;
          break;
        case 3:
          attribute.whole = field.whole();
          attribute.type = Type::whole;
          break;
        case 4:
          attribute.text = text(field);
          attribute.type = Type::text;
          break;
        case 5:
          attribute.tensor = read_tensor(part(field), folder_).second;
          attribute.type = Type::tensor;
          break;
        case 6:
          attribute.graph = std::make_shared<Graph>(graph(part(field), depth + 1));
          attribute.type = Type::graph;
          break;
        case 7:
          add_floats(field, floats);
          attribute.type = Type::reals;
          break;
        case 8:
          add_wholes(field, attribute.wholes);
          attribute.type = Type::wholes;
          break;
        case 9:
          attribute.texts.push_back(text(field));
          attribute.type = Type::texts;
          break;
        case 20:
          type = field.whole();
          break;
        case 21:
          reference = text(field);
          break;
        default:
          break;
      }
    });
    for (const float number : floats) {
      attribute.reals.push_back(shortest(number));
    }
    decide_type(attribute, type, reference);
    return attribute;
  }

  // What the file calls the type decides: zero and empty lists are not written.
  static void decide_type(Attribute& attribute, int64_t type, const std::string& reference) {
    using Type = Attribute::Type;
    static const std::map<int64_t, Type> types = {
        {1, Type::real},  {2, Type::whole}, {3, Type::text},   {4, Type::tensor},
        {5, Type::graph}, {6, Type::reals}, {7, Type::wholes}, {8, Type::texts}};
    if (!reference.empty()) {
      attribute.type = Type::reference;
      attribute.text = reference;
      return;
    }
    if (type != 0) {
      const auto found = types.find(type);
      attribute.type = found == types.end() ? Type::other : found->second;
    }
    const bool empty = (attribute.type == Type::tensor && !attribute.tensor.defined()) ||
                       (attribute.type == Type::graph && !attribute.graph);
    if (empty) {
      damaged("the attribute \"" + printable(attribute.name) + "\" has no value");
    }
  }

  Function function(Span span) {
    Function function;
    each(span, [&](const Field& field) {
      switch (field.number) {
        case 1:
          function.name = text(field);
          break;
        case 4:
          function.inputs.push_back(text(field));
          break;
        case 5:
          function.outputs.push_back(text(field));
          break;
        case 7:
          function.nodes.push_back(node(part(field), 0));
          break;
        case 9:
          version(part(field), function.versions);
          break;
        case 10:
          function.domain = plain_domain(text(field));
          break;
        case 11:
          function.defaults.push_back(attribute(part(field), 0));
          break;
        default:
          break;
      }
    });
    return function;
  }

  std::string folder_;
};

}  // namespace

Model read_model(const Bytes& bytes, const std::string& folder) {
  return Reader(folder).model({bytes.data, bytes.size});
}

Model read_model(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  return read_model(map_file(path), folder);
}

std::string place_of(const Node& node) {
  const std::string domain = node.domain.empty() ? "" : printable(node.domain) + ".";
  const std::string name = node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name;
  return domain + printable(node.operation) + " \"" + printable(name) + "\"";
}

}  // namespace onnx
}  // namespace seqlift
