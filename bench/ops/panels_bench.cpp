#include <flamingo/ops/linear.hpp>

#include <cstring>
#include <vector>

#include <flamingo/kernels/cpu/linear.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

constexpr int in = 4096, out = 16384;  // larger than any cache

/// x (rows, in) times a packed matrix; bytes are those of the matrix.
bool time_packed(const std::string& name, Format format, int rows, bool panels) {
  const auto bytes = static_cast<std::size_t>(in / size_of(format).numbers * size_of(format).bytes) * out;
  return time_op(name, {.bytes = static_cast<double>(bytes)}, [=](Context<bench::P>& ctx) {
    const auto x = filled(ctx, rows, in), y = filled(ctx, rows, out);
    const auto data = std::make_shared<std::vector<std::byte>>(bytes, std::byte{1});
    const auto scales = std::make_shared<std::vector<float>>(std::size_t{out}, 1.f);
    return [=, &ctx] {
      ops::linear(ctx, x,
                  PackedMatrix<bench::P, dynamic, dynamic>{data->data(), scales->data(), format, Extent<dynamic>(out),
                                                           Extent<dynamic>(in), panels},
                  y);
    };
  });
}

const bool registered = [] {
  for (const auto& [format, name] : {std::pair{Format::f32, "f32"},
                                     {Format::bf16, "bf16"},
                                     {Format::int8, "int8"},
                                     {Format::q8_0, "q8_0"},
                                     {Format::q4_1, "q4_1"}})
    for (const int rows : {1, 4, 8})
      for (const bool panels : {false, true})
        time_packed(
            std::string("linear/packed/") + name + "/rows:" + std::to_string(rows) + (panels ? "/panels" : "/in_rows"),
            format, rows, panels);
  return true;
}();

}  // namespace
