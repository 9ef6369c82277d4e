#include <flamingo/core/parameters.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <type_traits>
#include <vector>

namespace parameters_test {

using namespace flamingo;
using P = Cpu<float>;

namespace {

struct Inner {
  template <class S>
  struct Parameters {
    Matrix<S, 7, 5> w;
    Vector<S, 7> b;
  };
  template <class Visit, class... W>
  static constexpr void each(Visit& visit, W&... w) {
    visit(matrix_spec("w", 7, 5, Init::normal(0.5f), Split::rows), w.w...);
    visit(vector_spec("b", 7, Init::zero()), w.b...);
  }
};
struct Outer {
  template <class S>
  struct Parameters {
    Table<S, 11, 5> table;
    Added<S, 3, 5> added;
    std::array<Inner::Parameters<S>, 12> layers;
  };
  template <class Visit, class... W>
  static constexpr void each(Visit& visit, W&... w) {
    visit(table_spec("table", 11, 5, Init::given()), w.table...);
    visit(added_spec("added", 3, 5, Init::normal(0.02f)), w.added...);
    for (int i = 0; i < 12; ++i) {
      auto layer = within(visit, "layers", i);
      Inner::each(layer, w.layers[static_cast<std::size_t>(i)]...);
    }
  }
};

}  // namespace

TEST_CASE("names are joined by dots, while compiling", "[parameters]") {
  static_assert(std::string_view(Name("layers").dot(3).dot("norm").dot("scale")) == "layers.3.norm.scale");
  static_assert(std::string_view(Name("a").dot(0)) == "a.0");
  static_assert(std::string_view(Name("a").dot(1234567890)) == "a.1234567890");
  CHECK(std::string_view(Name(std::string(120, 'x'))).size() == 120);
}

TEST_CASE("a layer's list names each parameter once, with its prefix", "[parameters]") {
  static_assert(parameter_count<Outer>() == 11 * 5 + 3 * 5 + 12 * (7 * 5 + 7));
  std::vector<std::string> names;
  std::vector<std::array<int, 2>> shapes;
  auto note = [&](const Spec& spec) {
    names.emplace_back(std::string_view(spec.name));
    shapes.push_back(spec.shape());
  };
  Outer::each(note);
  REQUIRE(names.size() == 26);
  CHECK(names[0] == "table");
  CHECK(names[2] == "layers.0.w");
  CHECK(names[25] == "layers.11.b");
  CHECK(shapes[2] == std::array{7, 5});
  CHECK(shapes[25] == std::array{1, 7});
}

TEST_CASE("the storage policy decides what a parameter is", "[parameters]") {
  using Stored_ = Outer::Parameters<Stored<P>>;
  using Packed_ = Outer::Parameters<Packed<P>>;
  using Adapters_ = Outer::Parameters<Adapters<P>>;
  static_assert(std::is_same_v<decltype(Stored_::table), MatrixView<P, 11, 5, float>>);
  static_assert(std::is_same_v<decltype(Packed_::table), PackedMatrix<P, 11, 5>>);
  static_assert(std::is_same_v<decltype(Packed_::added), MatrixView<P, 3, 5, float>>);
  static_assert(std::is_same_v<decltype(Adapters_::table), NoGrad>);
  static_assert(std::is_same_v<decltype(Adapters_::added), MatrixView<P, 3, 5, float>>);
  static_assert(!wanted<decltype(frozen<Outer>.layers[0].w)>);
  static_assert(std::is_same_v<Vector<Stored<Cuda<bfloat16>>, 7>, VectorView<Cuda<bfloat16>, 7, float>>,
                "vectors are kept in the accumulation type");
  static_assert(sizeof(MatrixView<P, 7, 5>) == sizeof(float*), "static shapes take no room");
  static_assert(WeightOn<PackedMatrix<P, 7, 5>, P> && WeightSink<NoGrad, P> && !WeightOn<NoGrad, P>);
  static_assert(VectorSink<VectorView<P, 7>> && VectorSink<NoGrad> && !VectorSink<Rows<P>>);
  SUCCEED();
}

TEST_CASE("a slice of a matrix is its rows, stored or packed", "[parameters]") {
  std::array<float, 35> data{};
  const MatrixView<P, 7, 5> w{data.data(), {}, {}};
  const auto part = slice(w, 2, 3);
  CHECK(part.data == data.data() + 10);
  CHECK(int(part.rows) == 3);
  CHECK(int(part.columns) == 5);

  std::array<std::byte, 1024> bytes{};
  std::array<float, 7> scales{};
  const auto start = [&](Format format) {
    const PackedMatrix<P, 7, 64> packed{bytes.data(), format == Format::int8 ? scales.data() : nullptr, format, {}, {}};
    const auto rows = slice(packed, 2, 3);
    CHECK(rows.scales == (packed.scales ? packed.scales + 2 : nullptr));
    return rows.data - bytes.data();
  };
  CHECK(start(Format::f32) == 2 * 64 * 4);
  CHECK(start(Format::f16) == 2 * 64 * 2);
  CHECK(start(Format::bf16) == 2 * 64 * 2);
  CHECK(start(Format::int8) == 2 * 64);
  CHECK(start(Format::q8_0) == 2 * 2 * 34);
  CHECK(start(Format::q4_0) == 2 * 2 * 18);
  CHECK(start(Format::q4_1) == 2 * 2 * 20);
}

}  // namespace parameters_test
