// What modules kept as units write into attributes.
//
// A unit is evaluated by itself, for each half and as often as its rule asks, and begins with what
// the file holds in its attributes. So nothing may depend on what a call has left behind there, or
// on what the code around it has put there.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/model/graph.h"

namespace seqlift {

// A module that stays one call of a graph.
struct UnitBody {
  std::shared_ptr<const Graph> graph;
  Provenance provenance;
  bool again = false;  // called more than once
};

std::vector<UnitBody> find_units(const Graph& graph);

// The attributes, by their own names, that units set.
std::set<std::string> names_set_by(const std::vector<UnitBody>& units);

// After find_written(). Errors: kind "registration", with the module and the attribute.
void check_unit_state(const Graph& graph, const std::vector<UnitBody>& units);

}  // namespace seqlift
