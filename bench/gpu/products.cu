/// Dense products of Cuda, and what they are measured by: the fastest product and the fastest copy of the device.
///
///   product N D O     forward (N, D) x (O, D)ᵀ; for more than eight rows also dx and dw
///   square N          the product of two N × N matrices
///   packed F N D O    forward of one to eight rows over packed weights: F is 3 int8, 4 q8_0, 5 q4_0, 6 q4_1
///   copy MEGABYTES    within the device's memory
#include <flamingo/kernels/cuda/raw/packed_rows.cuh>

#include "timing.cuh"

namespace {

using namespace flamingo;
using namespace flamingo::bench;
using P = Cuda<bfloat16>;
using T = __nv_bfloat16;

std::size_t area(int rows, int columns) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); }

void products(Context<P>& ctx, const Case& c) {
  const int N = c[0], D = c[1], O = c[2];
  struct Set {
    Numbers<T> x, w, y, dx;
    Numbers<float> dw;
  };
  const bool backward = N > raw::few_rows;
  const double bytes = 2.0 * static_cast<double>(area(N, D) + area(O, D) + area(N, O));
  std::vector<Set> sets;
  for (int i = 0; i < sets_of(bytes); ++i)
    sets.push_back({Numbers<T>(area(N, D)), Numbers<T>(area(O, D)), Numbers<T>(area(N, O)), Numbers<T>(area(N, D)),
                    Numbers<float>(backward ? area(O, D) : 1)});
  const auto timed = [&](const auto& call) {
    return seconds_of(ctx.stream(), static_cast<int>(sets.size()),
                      [&](int set) { call(sets[static_cast<std::size_t>(set)]); });
  };
  c.report("forward", backward ? "cuBLASLt" : "few_rows", timed([&](const Set& s) {
             ctx.products().forward(s.x.data(), s.w.data(), s.y.data(), N, D, O, ctx.stream(), "linear");
           }));
  if (!backward) {
    c.report("forward", "cuBLASLt", timed([&](const Set& s) {
               ctx.products().product<true, true, false>(s.x.data(), s.w.data(), s.y.data(), N, O, D, ctx.stream(),
                                                         "linear");
             }));
    return;
  }
  c.report("dx", "cuBLASLt", timed([&](const Set& s) {
             ctx.products().backward_input(s.y.data(), s.w.data(), s.dx.data(), N, D, O, ctx.stream(), "linear");
           }));
  c.report("dw", "cuBLASLt", timed([&](const Set& s) {
             ctx.products().backward_weight(s.y.data(), s.x.data(), s.dw.data(), N, D, O, ctx.stream(), "linear");
           }));
}

void square(Context<P>& ctx, const Case& c) {
  const int N = c[0];
  const Numbers<T> a(area(N, N)), b(area(N, N)), y(area(N, N));
  c.report("forward", "cuBLASLt", seconds_of(ctx.stream(), 2, [&](int) {
             ctx.products().forward(a.data(), b.data(), y.data(), N, N, N, ctx.stream(), "linear");
           }));
}

void packed(Context<P>& ctx, const Case& c) {
  const auto format = static_cast<raw::PackedFormat>(c[0]);
  const int N = c[1], D = c[2], O = c[3];
  const std::size_t bytes = raw::packed_bytes(format, O, D);
  struct Set {
    Numbers<unsigned char> w;  // zeros: what is multiplied costs nothing more
    Numbers<T> x, y;
  };
  const Numbers<float> scales(static_cast<std::size_t>(O));
  std::vector<Set> sets;
  for (int i = 0; i < sets_of(static_cast<double>(bytes)); ++i)
    sets.push_back({Numbers<unsigned char>(bytes), Numbers<T>(area(N, D)), Numbers<T>(area(N, O))});
  c.report("forward", "packed_rows", seconds_of(ctx.stream(), static_cast<int>(sets.size()), [&](int set) {
             const Set& s = sets[static_cast<std::size_t>(set)];
             check_cuda(raw::packed_rows_forward(s.x.data(), {s.w.data(), scales.data(), format, O, D}, s.y.data(), N,
                                                 ctx.stream()),
                        "packed_rows");
           }));
}

void copy(Context<P>& ctx, const Case& c) {
  const std::size_t bytes = std::size_t{1000000} * static_cast<std::size_t>(c[0]);
  const Numbers<T> from(bytes / sizeof(T)), to(bytes / sizeof(T));
  c.report("copy", "cudaMemcpy", seconds_of(ctx.stream(), 2, [&](int) {
             check_cuda(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, ctx.stream()), "copy");
           }));
}

}  // namespace

int main() {
  Context<P> ctx(4096);
  return measure_cases([&](const Case& c) {
    if (c.kind == "product") products(ctx, c);
    if (c.kind == "square") square(ctx, c);
    if (c.kind == "packed") packed(ctx, c);
    if (c.kind == "copy") copy(ctx, c);
  });
}
