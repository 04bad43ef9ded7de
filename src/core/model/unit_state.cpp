#include "core/model/unit_state.h"

#include <map>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/model/graph_passes.h"

namespace seqlift {

namespace {

// An attribute of an object.
using AttributePlace = std::pair<const void*, std::string>;

struct Uses {
  std::set<AttributePlace> written;
  std::set<AttributePlace> read;  // as they are at the start
};

// In the order of the code. What a branch or a loop sets is set for its own later lines alone.
void collect_uses(const Graph& graph, torch::jit::Block* block, std::set<AttributePlace> set,
                  Uses& uses) {
  for (torch::jit::Node* node : block->nodes()) {
    const bool get = node->kind() == c10::prim::GetAttr;
    const bool access = get || node->kind() == c10::prim::SetAttr;
    const auto object = access ? attribute_value(graph, node->input(0)) : std::nullopt;
    if (object && object->isObject()) {
      const AttributePlace place(object->toObject().get(), node->s(c10::attr::name));
      if (get && set.count(place) == 0) {
        uses.read.insert(place);
      }
      if (!get || graph.written_attributes.count(node->output()) > 0) {
        uses.written.insert(place);
      }
      if (!get) {
        set.insert(place);
      }
    }
    for (torch::jit::Block* inner : node->blocks()) {
      collect_uses(graph, inner, set, uses);
    }
  }
}

Uses uses_of(const Graph& graph) {
  Uses uses;
  collect_uses(graph, graph.graph->block(), {}, uses);
  return uses;
}

bool in_loop(const torch::jit::Node* node) {
  const torch::jit::Node* outer = node->owningBlock()->owningNode();
  return outer && (outer->kind() == c10::prim::Loop || in_loop(outer));
}

std::string name_of(const Provenance& unit) {
  return unit.module + " (" + short_class_name(unit.class_name) + ")";
}

void require_apart(const Uses& writer, const Uses& reader, const Provenance& unit,
                   const std::string& writing, const std::string& reading) {
  for (const AttributePlace& place : writer.written) {
    if (reader.read.count(place) > 0) {
      throw Error("registration",
                  name_of(unit) + " is registered, so it is one unit, but " + writing +
                      " writes the attribute `" + place.second + "`, which " + reading +
                      " reads. A unit is evaluated by itself, with what the file holds in its "
                      "attributes: leave its registration out, or register a module inside it.");
    }
  }
}

}  // namespace

std::vector<UnitBody> find_units(const Graph& graph) {
  std::vector<torch::jit::Node*> calls;
  collect_nodes(graph.graph->block(), {c10::prim::CallMethod}, calls);
  std::vector<UnitBody> units;
  std::map<AttributePlace, size_t> known;
  for (torch::jit::Node* call : calls) {
    const auto self = attribute_value(graph, call->input(0));
    if (!self || !self->isObject()) {
      continue;
    }
    const std::string& method = call->s(c10::attr::name);
    const auto [unit, fresh] = known.insert({{self->toObject().get(), method}, units.size()});
    if (fresh) {
      const Provenance& place = graph.provenance.at(call);
      units.push_back({build_unit_graph(*self, method, place), place, in_loop(call)});
    } else {
      units[unit->second].again = true;
    }
  }
  return units;
}

std::set<std::string> names_set_by(const std::vector<UnitBody>& units) {
  std::set<std::string> names;
  for (const UnitBody& unit : units) {
    std::vector<torch::jit::Node*> sets;
    collect_nodes(unit.graph->graph->block(), {c10::prim::SetAttr}, sets);
    for (const torch::jit::Node* node : sets) {
      names.insert(node->s(c10::attr::name));
    }
  }
  return names;
}

void check_unit_state(const Graph& graph, const std::vector<UnitBody>& units) {
  if (units.empty()) {
    return;
  }
  const Uses around = uses_of(graph);
  std::vector<Uses> inside;
  for (const UnitBody& unit : units) {
    inside.push_back(uses_of(*unit.graph));
  }
  for (size_t i = 0; i < units.size(); ++i) {
    const Provenance& unit = units[i].provenance;
    if (units[i].again) {
      require_apart(inside[i], inside[i], unit, "one of its calls", "another");
    }
    require_apart(inside[i], around, unit, "it", "the code around it");
    require_apart(around, inside[i], unit, "the code around it", "it");
    for (size_t j = 0; j < units.size(); ++j) {
      if (j != i) {
        require_apart(inside[i], inside[j], unit, "it", name_of(units[j].provenance));
      }
    }
  }
}

}  // namespace seqlift
