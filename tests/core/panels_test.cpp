#include <flamingo/core/panels.hpp>

#include <catch2/catch.hpp>
#include <vector>

#include "support/packing.hpp"

namespace panels_test {

using namespace flamingo;
using namespace flamingo::test;

using P = Cpu<float>;

TEST_CASE("interleaving keeps every number, in every format", "[panels]") {
  constexpr int rows = 67, columns = 96;  // two panels and three rows
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    const PackedTensor packed(format, rows, columns, 11);
    const auto w = packed.on<P>();
    std::vector<std::byte> panels(panel_bytes(rows, w.row_bytes()));
    CHECK(panels.size() == 96 * w.row_bytes());
    interleave(w, panels.data());
    int wrong = 0;
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c) {
        const std::byte* panel = panels.data() + static_cast<std::size_t>(r / panel_rows * panel_rows) * w.row_bytes();
        const float scale = w.scales ? w.scales[r] : 0;
        wrong += static_cast<double>(panel_number(panel, format, r % panel_rows, c, scale)) != packed.numbers(r, c);
      }
    CHECK(wrong == 0);
  }
}

TEST_CASE("a slice of panels begins with one", "[panels]") {
  const PackedTensor packed(Format::bf16, 67, 32, 11);
  auto w = packed.on<P>();
  CHECK(slice(w, 5, 3).data == w.data + 5 * w.row_bytes());
  w.panels = true;
  CHECK(slice(w, 64, 3).data == w.data + 64 * w.row_bytes());
  CHECK(slice(w, 64, 3).panels);
  CHECK_THROWS_WITH(slice(w, 5, 3), "[slice] row 5 begins no panel of 32 rows");
}

}  // namespace panels_test
