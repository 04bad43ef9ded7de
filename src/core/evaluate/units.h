// Modules treated as one unit (registrations.h), each by the rule of its registration.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/evaluate/evaluate.h"
#include "core/evaluate/registrations.h"
#include "core/halves/integrate.h"
#include "core/model/graph.h"

namespace seqlift {

// Thresholds of the peers, below which the ordinary gradient stands in for a quotient.
constexpr double peer_threshold = 1e-6;
constexpr double peer_pool_threshold = 1e-7;

// Each unit as its module is written.
UnitRule units_as_written(Constants& constants);

// How units are evaluated in one chunk of work. Keeps the state that lasts for the chunk.
class Units {
 public:
  // `module_mode`: one batch [sequences; references], the rules of the peers.
  Units(const Registrations& registrations, bool module_mode, Constants& constants);

  std::vector<Value> call(Call& call);
  std::string rule_name(const Call& call) const;
  // Module mode: the peers' max-pooling, inside a registered module.
  std::vector<Value> pool(Call& call);
  // For EvaluateOptions::carry: of modules that `graph` calls in one place nothing is remembered
  // beyond a cut, of the others the last call of the first time.
  std::function<Resume(const std::vector<at::Tensor>& crossing)> carry(const Graph& graph);

 private:
  struct Seen;
  struct Last;
  std::shared_ptr<const Last> remember(const std::string& module, const Seen& call, bool depends);
  // Asked in the backward pass, when every call is known.
  bool hooks_fail();
  std::vector<Value> in_module_mode(Call& call, const Registration& registration,
                                    const std::shared_ptr<const Graph>& body, int input);
  std::vector<Value> in_operator_mode(Call& call, const Registration& registration,
                                      const std::shared_ptr<const Graph>& body, int input);
  MultiOutput as_function(const Call& call, const std::shared_ptr<const Graph>& body, int input,
                          bool ref);
  at::Tensor run(const Call& call, const std::shared_ptr<const Graph>& body, int position,
                 const at::Tensor& input, bool ref, bool gradients);

  const Registrations& registrations_;
  bool module_mode_;
  Constants& constants_;
  std::map<std::string, std::shared_ptr<const Graph>> bodies_;
  std::map<std::string, std::shared_ptr<Last>> last_;
  std::set<std::string> repeated_;  // modules that are called in several places
  bool hooks_fail_ = false;         // of a module that is remembered no more
  bool again_ = false;              // evaluated once more, for the backward pass
};

}  // namespace seqlift
