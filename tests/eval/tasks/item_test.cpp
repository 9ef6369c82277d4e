#include <flamingo/eval/tasks/item.hpp>

#include <catch2/catch.hpp>

namespace item_test {

using namespace flamingo;

TEST_CASE("fields and splits are found by name, or their lack is told", "[eval][tasks]") {
  const TaskItem item{.id = "7", .fields = {{"text", "hello"}}, .split = "val"};
  CHECK(item.field("text") == "hello");
  CHECK_THROWS_WITH(item.field("caption"), "[task] item 7 has no field 'caption'");
  CHECK(of_split({item, item, {.id = "8", .split = "train"}}, "val").size() == 2);
  CHECK_THROWS_WITH(of_split({item}, "test"), "[task] none of 1 items is of the split 'test'");
}

}  // namespace item_test
