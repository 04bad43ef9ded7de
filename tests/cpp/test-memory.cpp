#include "catch.h"
#include "core/base/memory.h"

using namespace seqlift;

TEST_CASE("the memory of a call is told and set", "[recompute]") {
  const auto available = available_memory();
  REQUIRE(available);
  CHECK(*available > 0);
  CHECK(memory_budget().value() <= *available);
  {
    set_memory_budget(1000);
    CHECK(memory_budget().value() == 1000);
    const MemoryShare share = divide_memory(4);
    CHECK(share.budget.value() == 250);
    CHECK(share.most.value() == 250);
    const MemoryShareGuard guard(share);
    CHECK(memory_share().budget.value() == 250);
  }
  CHECK(memory_share().most.value() == 1000);
  set_memory_budget({});
  CHECK(memory_share().most.value() > 1000);
}
