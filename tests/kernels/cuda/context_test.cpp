#include <flamingo/kernels/cuda/context.cuh>

#include <flamingo/kernels/cuda/raw/pointwise.cuh>

#include <numeric>

#include <catch2/catch.hpp>

namespace context_test {

using namespace flamingo;

namespace {

template <class T>
std::vector<T> host(Context<Cuda<float>>& ctx, const T* device, std::size_t count) {
  std::vector<T> numbers(count);
  download(ctx, device, count, numbers.data());
  return numbers;
}

}  // namespace

TEST_CASE("CUDA's errors become ours, with the call and the runtime's words", "[cuda]") {
  CHECK_NOTHROW(check_cuda(cudaSuccess, "linear"));
  CHECK_THROWS_WITH(check_cuda(cudaErrorInvalidValue, "linear"), "[linear] cudaErrorInvalidValue: invalid argument");
  CHECK_THROWS_WITH(Context<Cuda<float>>(std::size_t{1} << 50),
                    "[cudaMalloc] cudaErrorMemoryAllocation: out of memory");
  Context<Cuda<float>> ctx(4096);
  CHECK_THROWS_WITH(keep(ctx, 33, 32), Catch::Contains("[arena] out of memory: 4224 bytes asked for, 4096 of 4096"));
}

TEST_CASE("after memory that was not to be had, the next kernel starts", "[cuda]") {
  CHECK_THROWS_AS(Context<Cuda<float>>(std::size_t{1} << 50), Error);
  Context<Cuda<float>> ctx(4096);
  const auto x = keep(ctx, 1, 3);
  CHECK_NOTHROW(check_cuda(raw::fill(x.data, 2.f, x.size(), ctx.stream()), "fill"));
  CHECK(host(ctx, x.data, x.size()) == std::vector<float>{2, 2, 2});
}

TEST_CASE("tables reach the device's kept end, though the host's are gone and staging is small", "[cuda]") {
  Context<Cuda<float>> ctx(std::size_t{1} << 16, 26);  // halves of 13 bytes: most tables are cut
  std::vector<View<Cuda<float>, 1, const int>> tables;
  for (int n = 1; n < 40; n += 7) {
    std::vector<int> numbers(static_cast<std::size_t>(n));
    std::iota(numbers.begin(), numbers.end(), 100 * n);
    tables.push_back(table(ctx, numbers));
    std::fill(numbers.begin(), numbers.end(), -1);
  }
  CHECK(ctx.arena().kept() > 0);
  CHECK(ctx.arena().scratched() == 0);
  for (const auto& t : tables) {
    std::vector<int> expected(t.size());
    std::iota(expected.begin(), expected.end(), 100 * t.shape[0]);
    CHECK(host(ctx, t.data, t.size()) == expected);
  }
  CHECK_THROWS_WITH(Context<Cuda<float>>(64, 1),
                    "[staging] 1 bytes of staging memory, expected at least 2: it has two halves");
}

TEST_CASE("tables of spans bring their lists, and know how far they reach", "[cuda]") {
  Context<Cuda<float>> ctx(std::size_t{1} << 16);
  Spans<Cuda<float>> spans;
  {
    SpanList list;
    list.begin(2, 5, 11);
    list.add({.pool = 1, .first = 3, .count = 20, .position = 7, .causal = 1});
    list.begin(7, 3);
    list.spans.back().uniform = 1;
    list.add({.pool = 0, .first = 0, .count = 2, .position = 0, .causal = 0});
    spans = table(ctx, list);
  }
  CHECK(spans.lists.rows == 10);
  CHECK(spans.lists.pool_rows == std::array<int, max_pools>{2, 23, 0, 0});
  const auto on_host = host(ctx, spans.spans.data, spans.spans.size());
  REQUIRE(on_host.size() == 2);
  CHECK(on_host[0].position == 11);
  CHECK(on_host[1].uniform == 1);
  const raw::AttentionTables& t = spans.lists.tables;
  REQUIRE(t.query_tile_count == 3);  // rows of no span, and one for each span
  CHECK(host(ctx, t.query_tiles, 3)[1].first_row == 2);
  REQUIRE(t.key_tile_count == 3);  // pool 0, and two of pool 1
  CHECK(host(ctx, t.key_tiles, 3)[2].rows == 7);
  CHECK(host(ctx, t.segments, 2)[0].causal == 1);

  SpanList shared;  // two softmaxes for row 3
  shared.begin(0, 4);
  shared.begin(3, 2);
  CHECK_THROWS_AS(table(ctx, shared), Error);
  CHECK_THROWS_WITH(table(ctx, shared), Catch::Contains("shares query row 3 with another"));
}

TEST_CASE("a context may move, and its arena with it", "[cuda]") {
  Context<Cuda<double>> first(4096);
  const auto t = table(first, std::vector<double>{2, 3, 5});
  Context<Cuda<double>> second = std::move(first);
  std::vector<double> numbers(3);
  download(second, t.data, 3, numbers.data());
  CHECK(numbers == std::vector<double>{2, 3, 5});
  CHECK(second.arena().kept() == 64);
}

TEST_CASE("work of one key is run, captured, then replayed over what memory holds", "[cuda]") {
  using P = Cuda<float>;
  Context<P> ctx(1 << 16, 4096);
  Replay<P> replay;
  const auto x = take_vector<float, true>(ctx, 5), y = take_vector<float, true>(ctx, 5);
  int calls = 0;
  const auto work = [&] {
    ++calls;
    clear_numbers(ctx, y.data, 5);
    check_cuda(raw::add(x.data, y.data, y.data, 5, ctx.stream()), "add");
  };
  for (int step = 0; step < 5; ++step) {
    const std::vector<float> numbers(5, static_cast<float>(step));
    upload(ctx, numbers.data(), 5, x.data);
    replay(ctx, {7}, work);
    CHECK(host_copy(ctx, y.data, 5) == numbers);
    CHECK(replay.captured() == (step > 0));
  }
  CHECK(calls == 2);
  replay(ctx, {8}, work);
  CHECK((calls == 3 && !replay.captured()));
}

TEST_CASE("a lasting table is copied once, so work that reads it is captured", "[cuda]") {
  using P = Cuda<float>;
  static const std::vector<float> numbers{1, 2, 4};
  Context<P> ctx(1 << 16, 4096);
  Replay<P> replay;
  const auto y = take_vector<float, true>(ctx, 3);
  const std::size_t kept = ctx.arena().kept();
  const float* first = nullptr;
  const auto work = [&] {
    const auto x = lasting_table(ctx, numbers);
    REQUIRE(x.shape[0] == 3);
    if (!first) first = x.data;
    CHECK(x.data == first);
    check_cuda(raw::add(x.data, x.data, y.data, 3, ctx.stream()), "add");
  };
  for (int step = 0; step < 3; ++step) {
    replay(ctx, {1}, work);
    CHECK(host_copy(ctx, y.data, 3) == std::vector<float>{2, 4, 8});
    CHECK(replay.captured() == (step > 0));
  }
  CHECK(ctx.arena().kept() == kept);

  // First asked for while work is captured, it is a table as any other, and the work is run.
  static const std::vector<float> others{3, 5, 7};
  bool asks = false;
  Replay<P> late;
  const auto later = [&] {
    const auto scope = ctx.kept_scope();
    if (asks) check_cuda(raw::add(lasting_table(ctx, others).data, y.data, y.data, 3, ctx.stream()), "add");
  };
  late(ctx, {1}, later);
  asks = true;
  late(ctx, {1}, later);
  CHECK(!late.captured());
  CHECK(host_copy(ctx, y.data, 3) == std::vector<float>{5, 9, 15});
}

TEST_CASE("work that copies from the host is not replayed, and what fails leaves no capture behind", "[cuda]") {
  using P = Cuda<float>;
  Context<P> ctx(1 << 16, 4096);
  Replay<P> replay;
  const auto x = take_vector<float, true>(ctx, 3);
  float number = 0;
  bool fails = false;
  const auto work = [&] {
    check(!fails, "test", "no");
    const std::vector<float> numbers(3, ++number);
    upload(ctx, numbers.data(), 3, x.data);
  };
  for (int step = 0; step < 4; ++step) {
    replay(ctx, {1}, work);
    CHECK(host_copy(ctx, x.data, 3) == std::vector<float>(3, number));
    CHECK(!replay.captured());
  }
  replay(ctx, {2}, work);
  fails = true;
  CHECK_THROWS_WITH(replay(ctx, {2}, work), "[test] no");
  fails = false;
  replay(ctx, {2}, work);
  CHECK(host_copy(ctx, x.data, 3) == std::vector<float>(3, number));
}

}  // namespace context_test
