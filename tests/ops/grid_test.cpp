#include <catch2/catch.hpp>
#include <flamingo/ops/grid.hpp>

namespace grid_test {

using namespace flamingo;

TEST_CASE("windows along an axis lie as TensorFlow's SAME lays them", "[grid]") {
  // (size, kernel, stride) -> count, cells before the first; what is missing at the end lies there
  struct Line {
    int size, kernel, stride, count, before;
  };
  for (const Line& l : {Line{224, 3, 2, 112, 0}, Line{224, 3, 1, 224, 1}, Line{112, 5, 2, 56, 1}, Line{7, 5, 2, 4, 2},
                        Line{5, 3, 2, 3, 1}, Line{1, 5, 2, 1, 2}, Line{6, 1, 2, 3, 0}, Line{2, 4, 1, 2, 1}}) {
    const WindowsAlong along = windows_along(l.size, l.kernel, square(l.kernel, l.stride));
    INFO(l.size << ' ' << l.kernel << ' ' << l.stride);
    CHECK(along.count == l.count);
    CHECK(along.before == l.before);
    // Every window touches the picture, and the extra cell is never before it.
    CHECK((along.count - 1) * l.stride - along.before < l.size);
    const int after = (along.count - 1) * l.stride + l.kernel - along.before - l.size;
    if (after + along.before > 0) CHECK((after - along.before == 0 || after - along.before == 1));
  }
}

TEST_CASE("windows lie inside, or inside the border", "[grid]") {
  const Window valid{3, 5, 2, Padding::valid, 0}, symmetric{3, 5, 2, Padding::symmetric, 1};
  CHECK(windows_of(Grid{4, 7, 11}, valid, 13) == Grid{13, 3, 4});
  CHECK(windows_of(Grid{4, 7, 11}, symmetric) == Grid{0, 4, 5});
  CHECK(windows_of(Grid{0, 2, 11}, valid).rows() == 0);
  CHECK(windows_of(Grid{0, 3, 5}, valid) == Grid{0, 1, 1});
  CHECK(windows_along(7, 3, symmetric).before == 1);
}

TEST_CASE("windows of several pictures lie one after another", "[grid]") {
  const std::vector<Grid> grids{{0, 5, 7}, {35, 2, 3}, {41, 1, 1}};
  CHECK(windows_of(grids, square(3, 2)) == std::vector<Grid>{{0, 3, 4}, {12, 1, 2}, {14, 1, 1}});
  CHECK(cells_of(grids) == 42);
  CHECK_NOTHROW(check_grids("here", grids, 42));
  CHECK_THROWS_WITH(check_grids("here", grids, 43), "[here] the pictures have 42 cells together and there are 43 rows");
  CHECK(check_windows("here", grids, square(3, 2), 42) == 15);
}

}  // namespace grid_test
