// Products, and what is linear along one dimension.
#include <algorithm>
#include <cctype>
#include <map>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"

namespace seqlift {
namespace onnx {

namespace {

ProgramValue transposed(Operator& op, const ProgramValue& x) { return op.permuted(x, {1, 0}); }

// Of a matrix product, as numpy has it.
Sizes product_sizes(Operator& op, const ProgramValue& x, const ProgramValue& y) {
  if (x.rank() == 0 || y.rank() == 0) {
    op.refuse("has an input without dimensions");
  }
  Sizes first = x.sizes;
  Sizes second = y.sizes;
  if (x.rank() == 1) {
    first.insert(first.begin(), 1);
  }
  if (y.rank() == 1) {
    second.push_back(1);
  }
  const int64_t inner = first.back();
  const int64_t other = second[second.size() - 2];
  if (inner >= 0 && other >= 0 && inner != other) {
    op.refuse("multiplies " + std::to_string(inner) + " columns with " + std::to_string(other) +
              " rows");
  }
  const int64_t rows = first[first.size() - 2];
  const int64_t columns = second.back();
  Sizes sizes =
      broadcast(Sizes(first.begin(), first.end() - 2), Sizes(second.begin(), second.end() - 2));
  if (x.rank() > 1) {
    sizes.push_back(rows);
  }
  if (y.rank() > 1) {
    sizes.push_back(columns);
  }
  return sizes;
}

}  // namespace

// alpha A' B' + beta C
void gemm(Operator& op) {
  const double alpha = op.real("alpha", 1);
  const double beta = op.real("beta", 1);
  const bool trans_a = op.whole("transA", 0) != 0;
  const bool trans_b = op.whole("transB", 0) != 0;
  if (op.in(0).rank() != 2 || op.in(1).rank() != 2) {
    op.refuse("multiplies what are no matrices");
  }
  const ProgramValue x = trans_a ? transposed(op, op.in(0)) : op.in(0);
  const ProgramValue weight = trans_b ? op.in(1) : transposed(op, op.in(1));
  const int64_t columns = weight.sizes[0];
  const bool biased = op.given(2);
  const bool row = !biased || (op.in(2).rank() > 0 && op.in(2).rank() <= 2 && columns >= 0 &&
                               op.in(2).sizes.back() == columns &&
                               (op.in(2).rank() == 1 || op.in(2).sizes[0] == 1));
  if (x.sizes[1] >= 0 && weight.sizes[1] >= 0 && x.sizes[1] != weight.sizes[1]) {
    op.refuse("multiplies " + std::to_string(x.sizes[1]) + " columns with " +
              std::to_string(weight.sizes[1]) + " rows");
  }
  const Sizes sizes{x.sizes[0], columns};
  if (alpha == 1 && beta == 1 && row) {
    op.class_name = "torch.nn.modules.linear.Linear";
    const Argument bias = biased ? Argument(op.reshaped(op.in(2), {columns})) : Argument();
    return op.give(
        op.emit("linear", {{"input", x}, {"weight", weight}, {"bias", bias}}, sizes, x.dtype));
  }
  ProgramValue result = op.scaled(
      op.emit("linear", {{"input", x}, {"weight", weight}, {"bias", Argument()}}, sizes, x.dtype),
      alpha);
  if (biased) {
    result = op.add(result, op.scaled(op.in(2), beta));
  }
  op.give(result);
}

ProgramValue product_of_matrices(Operator& op, const ProgramValue& x, const ProgramValue& y) {
  return op.emit("matmul", {{"self", x}, {"other", y}}, product_sizes(op, x, y), x.dtype);
}

void matmul(Operator& op) { op.give(product_of_matrices(op, op.in(0), op.in(1))); }

namespace {

// With letters in the place of "...", which stands for dimensions that broadcast: the last ones of
// an input that has fewer. Without an arrow they come first.
std::string without_dots(const Operator& op, const std::string& equation) {
  const std::string dots = "...";
  if (equation.find(dots) == std::string::npos) {
    return equation;
  }
  const size_t arrow = equation.find("->");
  const std::string terms = equation.substr(0, arrow);
  std::vector<size_t> places;
  size_t begin = 0;
  size_t most = 0;
  for (size_t i = 0; begin <= terms.size(); ++i) {
    const size_t end = std::min(terms.find(',', begin), terms.size());
    const std::string term = terms.substr(begin, end - begin);
    begin = end + 1;
    if (term.find(dots) == std::string::npos) {
      continue;
    }
    const size_t rank = static_cast<size_t>(op.in(i).rank());
    if (rank + dots.size() < term.size() || rank > 8) {
      op.refuse("has the equation \"" + printable(equation) + "\", which does not fit its inputs");
    }
    places.push_back(rank + dots.size() - term.size());
    most = std::max(most, places.back());
  }
  std::string letters;
  for (char letter = 'A'; letters.size() < most && letter <= 'Z'; ++letter) {
    letters += equation.find(letter) == std::string::npos ? std::string(1, letter) : "";
  }
  std::string result;
  size_t next = 0;
  std::map<char, int> times;
  for (size_t i = 0; i < equation.size(); ++i) {
    const bool behind = arrow != std::string::npos && i > arrow;
    if (equation.compare(i, dots.size(), dots) != 0) {
      result += equation[i];
      times[equation[i]] += std::isalpha(static_cast<unsigned char>(equation[i])) != 0 ? 1 : 0;
      continue;
    }
    const size_t count = behind || next >= places.size() ? most : places[next++];
    result += letters.substr(most - count);
    i += dots.size() - 1;
  }
  if (arrow == std::string::npos) {
    result += "->" + letters;
    for (const auto& [letter, count] : times) {
      result += count == 1 ? std::string(1, letter) : "";
    }
  }
  return result;
}

}  // namespace

void einsum(Operator& op) {
  std::string equation = op.text("equation", "");
  equation.erase(std::remove_if(equation.begin(), equation.end(),
                                [](unsigned char letter) { return std::isspace(letter); }),
                 equation.end());
  equation = without_dots(op, equation);
  const size_t arrow = equation.find("->");
  const std::string terms = equation.substr(0, arrow);
  std::map<char, int64_t> sizes;
  std::map<char, int> times;
  std::vector<ProgramValue> inputs;
  size_t begin = 0;
  while (begin <= terms.size()) {
    const size_t end = std::min(terms.find(',', begin), terms.size());
    const std::string term = terms.substr(begin, end - begin);
    begin = end + 1;
    const ProgramValue& x = op.in(inputs.size());
    if (static_cast<int64_t>(term.size()) != x.rank()) {
      op.refuse("has the equation \"" + printable(equation) + "\", which does not fit its inputs");
    }
    for (size_t i = 0; i < term.size(); ++i) {
      if (std::isalpha(static_cast<unsigned char>(term[i])) == 0) {
        op.refuse("has the equation \"" + printable(equation) + "\", which is not one");
      }
      auto& size = sizes.emplace(term[i], -1).first->second;
      size = std::max(size, x.sizes[i]);
      ++times[term[i]];
    }
    inputs.push_back(x);
  }
  if (inputs.size() != op.count()) {
    op.refuse("has the equation \"" + printable(equation) + "\", which does not fit its inputs");
  }
  // Without an arrow: the letters that come once, in the order of the alphabet.
  std::string output = arrow == std::string::npos ? "" : equation.substr(arrow + 2);
  if (arrow == std::string::npos) {
    for (const auto& [letter, count] : times) {
      output += count == 1 ? std::string(1, letter) : "";
    }
  }
  Sizes result;
  for (const char letter : output) {
    if (sizes.count(letter) == 0) {
      op.refuse("has the equation \"" + printable(equation) + "\", which is not one");
    }
    result.push_back(sizes[letter]);
  }
  const std::string whole = terms + "->" + output;
  op.give(op.emit("einsum", {{"equation", whole.c_str()}, {"tensors", inputs}}, result,
                  inputs[0].dtype));
}

void cumsum(Operator& op) {
  const ProgramValue& x = op.in(0);
  const Sizes axes = op.known_wholes(1, "an axis");
  if (axes.size() != 1) {
    op.refuse("has another number of axes than one");
  }
  const int64_t axis = op.axis(axes[0], x.rank());
  const bool exclusive = op.whole("exclusive", 0) != 0;
  const bool reverse = op.whole("reverse", 0) != 0;
  const auto turned = [&](const ProgramValue& value) {
    return reverse ? op.same("flip", value, {{"dims", Sizes{axis}}}) : value;
  };
  ProgramValue sum = turned(op.same("cumsum", turned(x), {{"dim", axis}}));
  if (exclusive) {
    sum = op.two("sub.Tensor", sum, x);
  }
  op.give(sum);
}

void trilu(Operator& op) {
  const bool upper = op.whole("upper", 1) != 0;
  int64_t diagonal = 0;
  if (op.given(1)) {
    const Sizes k = op.known_wholes(1, "a diagonal");
    diagonal = k.size() == 1 ? k[0] : 0;
    if (k.size() != 1) {
      op.refuse("has another number of diagonals than one");
    }
  }
  op.give(op.same(upper ? "triu" : "tril", op.in(0), {{"diagonal", diagonal}}));
}

}  // namespace onnx
}  // namespace seqlift
