#include <flamingo/core/view.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <type_traits>

namespace view_test {

using namespace flamingo;
using P = Cpu<float>;

TEST_CASE("rows convert to what knows less, never to what knows more", "[view]") {
  static_assert(std::is_convertible_v<Rows<P, 7, float>, Rows<P, 7, const float>>);
  static_assert(std::is_convertible_v<Rows<P, 7, float>, Rows<P, dynamic, float>>);
  static_assert(std::is_convertible_v<Rows<P, 7, float>, In<P>>);
  static_assert(!std::is_convertible_v<Rows<P, 7, const float>, Rows<P, 7, float>>);
  static_assert(!std::is_convertible_v<Rows<P, dynamic, float>, Rows<P, 7, float>>);
  static_assert(!std::is_convertible_v<Rows<P, 5, float>, Rows<P, 7, float>>);
  static_assert(!std::is_convertible_v<Rows<P, 7, float>, Rows<Cuda<float>, 7, float>>);
  static_assert(!std::is_convertible_v<Rows<P, 7, float>, Rows<Cpu<double>, 7, float>>);
  static_assert(!std::is_convertible_v<Rows<P, 7, float>, Rows<P, 7, double>>);
  static_assert(std::is_convertible_v<View<P, 1, int>, View<P, 1, const int>>);
  static_assert(!std::is_convertible_v<View<P, 1, const int>, View<P, 1, int>>);
  static_assert(RowsOn<Rows<P, 7>, P> && !RowsOn<Rows<P, 7>, Cuda<float>> && !RowsOn<NoGrad, P>);
  static_assert(RowsSink<NoGrad, P> && RowsSink<Rows<P, 7>&, P>);
  static_assert(wanted<Rows<P>> && !wanted<const NoGrad&>);
  static_assert(agree(7, 7) && agree(7, dynamic) && agree(dynamic, 7) && !agree(7, 5));
  static_assert(width_of<const Rows<P, 7>&> == 7 && width_of<NoGrad> == dynamic);
  SUCCEED();
}

TEST_CASE("rows know their shape and their parts", "[view]") {
  std::array<float, 35> data{};
  const Rows<P, 7> x{data.data(), 5, {}};
  CHECK(x.size() == 35);
  CHECK(x.shape() == std::array{5, 7});
  CHECK(x.row(3) == data.data() + 21);
  const auto part = x.slice(2, 3);
  CHECK(part.data == data.data() + 14);
  CHECK(part.shape() == std::array{3, 7});
  const In<P> wide = x;
  CHECK(wide.shape() == x.shape());
  CHECK(any(x).data == x.data);
  static_assert(sizeof(Rows<P, 7>) == sizeof(float*) + sizeof(void*), "a static width takes no room");
}

TEST_CASE("sizes do not overflow an int", "[view]") {
  const Rows<P> x{nullptr, 1 << 20, Extent<dynamic>(1 << 20)};
  CHECK(x.size() == std::size_t{1} << 40);
  const View<P, 3> y{nullptr, {1 << 20, 1 << 20, 3}};
  CHECK(y.size() == (std::size_t{1} << 40) * 3);
}

}  // namespace view_test
