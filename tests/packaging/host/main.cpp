// (1 2) times the identity's rows in a host's own program, which also knows that nothing is no picture.
#include <cstdio>

#include <stb/stb_image.h>

#include <flamingo/cpu.hpp>
#include <flamingo/io/image_codecs.hpp>
#include <flamingo/ops/linear.hpp>

int main() {
  if (flamingo::io::Codecs::header({}).problem.empty()) return 1;
  using P = flamingo::Cpu<float>;
  float x[] = {1, 2}, w[] = {3, 5, 7, 11, 13, 17}, y[3];
  flamingo::Context<P> ctx;
  flamingo::ops::linear(ctx, flamingo::Rows<P, 2>{x, 1, {}}, flamingo::MatrixView<P, 3, 2>{w, {}, {}},
                        flamingo::Rows<P, 3>{y, 1, {}});
  std::printf("%g %g %g\n", double(y[0]), double(y[1]), double(y[2]));
}
