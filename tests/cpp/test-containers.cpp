// The methods of TorchScript's lists and dictionaries, each as a model that keeps activations in
// one: U-nets that collect on the way down and take back on the way up, heads in dictionaries.
// Every model predicts what its own run gives (1, 3 and 33 sequences, float32 and float64), keeps
// summation to delta and has the same mutagenesis in windows as whole.

#include "catch.h"
#include "core/model/model.h"
#include "edited.h"
#include "own_run.h"

using namespace nets;

namespace {

struct Row {
  const char* name;
  std::string lines;  // y [n, 4, L] from h [n, 4, L]
};

// One number a sequence from all of y, by way of what is not linear.
ModelPointer net_of(const Row& row) {
  return forward("h = torch.conv1d(x, self.w, None, [1], [1])\n" + row.lines +
                     "\nreturn torch.matmul(torch.tanh(y.flatten(1)), self.last)",
                 {{"w", numbers({4, 4, 3}, 1)}, {"last", numbers({64, 1}, 2)}});
}

std::vector<Row> rows_of_lists() {
  return {
      {"reverse", "p = [h, h.tanh(), h.flip([2])]\np.reverse()\ny = p[0] * p[1] + p[2]"},
      {"reverse by another name", "p = [h, h.tanh()]\nq = p\nq.reverse()\ny = p[0] - p[1] * 0.5"},
      {"reverse twice",
       "p = [h, h.tanh()]\np.reverse()\ny = p[0]\np.reverse()\ny = y - 2.0 * p[0]"},
      {"reverse of a list that grows on",
       "p = [h]\np.append(h.tanh())\np.reverse()\np.append(h.exp())\np.reverse()\n"
       "y = p[0] * 0.1 + p[1] - p[2] * p[0]"},
      {"reverse of nothing", "p: List[Tensor] = []\np.reverse()\np.append(h)\ny = p[0].tanh()"},
      {"reverse of numbers", "p = [1.0, 2.0, 4.0]\np.reverse()\ny = h * p[0]"},
      {"reverse in a branch",
       "p = [h, h.tanh()]\nif h.size(2) > 3:\n    p.reverse()\ny = p[0] - p[1] * 0.5"},
      {"reverse in a list", "p = [[h, h.tanh()]]\np[0].reverse()\ny = p[0][0] - p[0][1] * 0.5"},
      {"reverse of what a split gives",
       "p = torch.split(h, 1, 1)\np.reverse()\ny = torch.cat(p, 1) * p[0]"},
      {"a U-net",
       "d: List[Tensor] = []\nc = h\nfor i in range(3):\n    d.append(c)\n"
       "    c = torch.relu(torch.conv1d(torch.max_pool1d(c, [2]), self.w, None, [1], [1]))\n"
       "d.reverse()\nfor i in range(3):\n"
       "    c = torch.upsample_nearest1d(c, [d[i].size(2)]) + torch.tanh(d[i])\ny = c"},
      {"a U-net that takes back by pop",
       "d: List[Tensor] = []\nc = h\nfor i in range(3):\n    d.append(c)\n"
       "    c = torch.relu(torch.conv1d(torch.max_pool1d(c, [2]), self.w, None, [1], [1]))\n"
       "while len(d) > 0:\n    s = d.pop()\n"
       "    c = torch.upsample_nearest1d(c, [s.size(2)]) + torch.tanh(s)\ny = c"},
      {"clear", "p = [h]\np.clear()\np.append(h.tanh())\ny = p[0] + float(len(p))"},
      {"del", "p = [h, h.tanh(), h.exp()]\ndel p[1]\ny = p[1] - p[0]"},
      {"del from the end", "p = [h, h.tanh(), h.exp()]\ndel p[-1]\ny = p[-1] - p[0]"},
      {"copy", "p = [h, h.tanh()]\nq = p.copy()\nq.reverse()\ny = q[0] * 2.0 + p[0] * p[1]"},
      {"list()", "p = [h, h.tanh()]\nq = list(p)\nq.reverse()\ny = q[0] * 2.0 + p[0] * p[1]"},
      {"slices", "p = [h, h.tanh(), h.exp(), h.flip([2])]\nq = p[1:]\ny = q[0] - q[1] * q[2]"},
      {"slices with steps",
       "p = [h, h.tanh(), h.exp(), h.flip([2])]\nq = p[::2]\nr = p[3:0:-1]\n"
       "y = q[0] - q[1] * r[0] + r[2]"},
      {"a slice backwards", "p = [h, h.tanh(), h.exp()]\nq = p[::-1]\ny = q[0] - q[1] * q[2]"},
      {"a sum of lists", "p = [h] + [h.tanh(), h.exp()]\ny = p[0] * p[1] - p[2]"},
      {"+=", "p = [h]\np += [h.tanh(), h.exp()]\ny = p[0] * p[1] - p[2]"},
      {"a list times a number", "p = [h, h.tanh()] * 2\ny = p[2] * p[3] + p[0]"},
      {"a number times a list", "p = 2 * [h, h.tanh()]\ny = p[2] * p[3] + p[0]"},
      {"*=", "p = [h, h.tanh()]\np *= 2\ny = p[2] * p[3] + p[0]"},
      {"insert", "p = [h]\np.insert(0, h.tanh())\np.insert(-1, h.exp())\ny = p[0] * p[1] - p[2]"},
      {"pop", "p = [h, h.tanh(), h.exp()]\na = p.pop(0)\nb = p.pop()\ny = a * b - p[0]"},
      {"extend", "p = [h]\np.extend([h.tanh(), h.exp()])\ny = p[0] * p[1] - p[2]"},
      {"extend by itself", "p = [h, h.tanh()]\np.extend(p)\ny = p[2] * p[3] - p[0]"},
      {"an element set", "p = [h, h.tanh()]\np[-1] = h.exp()\ny = p[0] * p[1]"},
      {"comprehension", "p = [t.tanh() for t in [h, h * 2.0]]\ny = p[0] - p[1]"},
      {"enumerate and zip",
       "y = h\nfor i, t in enumerate([h, h.tanh()]):\n    y = y * 0.5 + t * float(i)\n"
       "for a, b in zip([h, h.tanh()], [h.exp(), h]):\n    y = y + a * b"},
      {"unpacked", "p = [h, h.tanh()]\np.reverse()\na, b = p\ny = a - b * 0.5"},
      {"tuples in a list",
       "p = [(h, 1.0), (h.tanh(), 2.0)]\np.reverse()\ny = p[0][0] * p[0][1] - p[1][0]"},
      {"sort of numbers", "p = [3, 1, 2]\np.sort()\np.sort(reverse=True)\ny = h * float(p[0])"},
      {"sorted numbers", "p = sorted([3, 1, 2])\ny = h * float(p[0]) - h.tanh()"},
      {"count, index, in of numbers",
       "p = [3, 1, 3]\ny = h * float(p.count(3) + p.index(1))\nif 3 in p:\n    y = y.tanh()"},
      {"remove of a number", "p = [3, 1, 2]\np.remove(3)\ny = h * float(p[0] + len(p))"},
      {"min and max of numbers", "p = [3, 1, 2]\ny = h * float(min(p) + max(p) + sum(p))"},
      {"equal lists of numbers", "y = h\nif [1, 2] == [h.dim() - 2, 2]:\n    y = h.tanh()"},
  };
}

std::vector<Row> rows_of_dictionaries() {
  return {
      {"setdefault",
       "d = {'a': h}\na = d.setdefault('a', h.exp())\nb = d.setdefault('b', h.tanh())\n"
       "y = a * b - d['b']"},
      {"update",
       "d = {'a': h, 'b': h}\nd.update({'b': h.tanh(), 'c': h.exp()})\n"
       "y = d['a'] * d['b'] - d['c']"},
      {"popitem", "d = {'a': h.tanh()}\nk, v = d.popitem()\ny = v * float(len(k) + len(d))+ v"},
      {"pop",
       "d = {'a': h, 'b': h.tanh()}\na = d.pop('a')\nb = d.pop('z', h.exp())\n"
       "y = a * b - d['b'] * float(len(d))"},
      {"del", "d = {'a': h, 'b': h.tanh()}\ndel d['a']\ny = d['b'] * float(len(d) + 1)"},
      {"clear", "d = {'a': h}\nd.clear()\nd['b'] = h.tanh()\ny = d['b'] * float(len(d) + 1)"},
      {"copy", "d = {'a': h}\ne = d.copy()\ne['a'] = h.tanh()\ny = d['a'] * e['a']"},
      {"dict()", "d = dict({'a': h})\ne = dict(d)\ne['a'] = h.tanh()\ny = d['a'] * e['a']"},
      {"dict of pairs", "d = dict([('a', h), ('b', h.tanh())])\ny = d['a'] * d['b']"},
      {"in",
       "d = {'a': h}\ny = h\nif 'a' in d:\n    y = d['a'].tanh()\nif 'b' not in d:\n"
       "    y = y * 2.0"},
      {"get", "d = {'a': h}\ny = d.get('a', h.exp()) * d.get('b', h.tanh())"},
      {"values reversed",
       "d = {'a': h, 'b': h.tanh()}\np = list(d.values())\np.reverse()\ny = p[0] - p[1] * 0.5"},
      {"keys sorted",
       "d = {'b': h, 'a': h.tanh()}\ny = h\nfor k in sorted(d.keys()):\n    y = y * 0.5 + d[k]"},
      {"comprehension", "d = {k: h * float(k) for k in [1, 2]}\ny = d[1] * d[2]"},
      {"whole numbers as keys", "d = {0: h}\nd[1] = d[0].tanh()\ny = d[1] * d[0]"},
      {"lists in a dictionary",
       "d = {'a': [h, h.tanh()]}\nd['a'].reverse()\nd['a'].append(h.exp())\n"
       "y = d['a'][0] - d['a'][1] * d['a'][2]"},
  };
}

void check(const std::vector<Row>& rows) {
  const Given pairs = given(3, 4, 16);
  const at::Tensor X = one_hot(33, 16, 3);
  for (const Row& row : rows) {
    INFO(row.name);
    const ModelPointer net = net_of(row);
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
      const OwnRun run = own_run(net, X, dtype);
      INFO(c10::toString(dtype) << ": " << run.error);
      CHECK(run.runs);
      CHECK(run.apart < (dtype == at::kFloat ? 1e-5 : 1e-12));
    }
    const at::Tensor expected = interpreted(net, pairs.X)[0];
    for (const int64_t batch_size : {32, 4, 3, 1}) {
      // In blocks of references what is written into a list is written in each.
      Settings settings;
      settings.batch_size = batch_size;
      INFO(batch_size);
      Explained result;
      CHECK(error_of([&]() { result = explain(net, pairs, settings); }) == "");
      if (result.values.defined()) {
        CHECK(worst_delta(result) < 1e-10);
        CHECK(largest_change(result) > 1e-3);
        CHECK(distance(result.predictions, expected) < 1e-12);
      }
    }
    Explained shares;
    CHECK(error_of([&]() { shares = deep_lifted(net, pairs, "reveal_cancel"); }) == "");
    CHECK((!shares.values.defined() || worst_delta(shares) < 1e-10));
    for (const nets::Step& step : audited(net, pairs)) {
      INFO(step.operation);
      CHECK(step.supported);
      CHECK(step.faithful);
    }
    Edited windows;
    const at::Tensor some = X.narrow(0, 0, 2);
    CHECK(error_of([&]() { windows = edited(net, some, all_substitutions(some)); }) == "");
    CHECK(windows.apart < 1e-10);
    CHECK(windows.effect > 1e-4);
  }
}

struct Refused {
  const char* operation;
  const char* lines;  // y from h and the list p
};

// They compare tensors by their values, which LibTorch itself does for tensors of one number only.
const std::vector<Refused>& refused() {
  static const std::vector<Refused> all{
      {"remove", "p.remove(p[0])\ny = h * p[0].view(-1, 1, 1)"},
      {"count", "y = h * float(p.count(p[0]))"},
      {"index", "y = h * float(p.index(p[1]))"},
      {"sort", "p.sort()\ny = h * p[0].view(-1, 1, 1)"},
      {"sorted", "y = h * sorted(p)[0].view(-1, 1, 1)"},
      {"eq", "y = h\nif p == [p[1], p[0]]:\n    y = h.tanh()"},
      {"ne", "y = h\nif p != [p[1], p[0]]:\n    y = h.tanh()"},
  };
  return all;
}

}  // namespace

TEST_CASE("what a model does with its lists is done", "[containers]") { check(rows_of_lists()); }

TEST_CASE("what a model does with its dictionaries is done", "[containers]") {
  check(rows_of_dictionaries());
}

TEST_CASE("lists in the order of their tensors' values are refused by name", "[containers]") {
  const Given pairs = given(1, 1, 16);
  for (const Refused& one : refused()) {
    INFO(one.operation);
    const std::string list = "p = [h[:, 0, 3], h[:, 1, 3]]\n";
    const ModelPointer net = net_of({one.operation, list + one.lines});
    const std::string error = error_of([&]() { explain(net, pairs); });
    // Of one sequence and one reference by us, of more by LibTorch.
    CHECK(error.find("unsupported_operation: ") == 0);
    CHECK(error.find("aten::" + std::string(one.operation)) != std::string::npos);
    CHECK(error.find("__torch__.py:") != std::string::npos);
    const std::string own = error_of([&]() { predicted(net, one_hot(3, 16, 1)); });
    CHECK(own.find("aten::" + std::string(one.operation)) != std::string::npos);
  }
}
