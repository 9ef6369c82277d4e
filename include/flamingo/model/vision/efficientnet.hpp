/// EfficientNet-Lite: pictures in, feature rows on a grid of 1/32 of their size out (Tan & Le 2019, without squeeze and
/// excitation). Frozen: batch norms are folded into the convolutions, and there is no backward.
#pragma once
#include <array>
#include <cstddef>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <flamingo/config/vision.hpp>
#include <flamingo/core/need.hpp>
#include <flamingo/ops/convolution.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/ops/pooling.hpp>
#include <flamingo/ops/residual.hpp>

namespace flamingo::model {

/// One block: its widths and its depthwise filter.
struct MobileBlock {
  int in = 0, out = 0, kernel = 3, stride = 1, widening = 6;

  constexpr int hidden() const { return in * widening; }
  constexpr bool expands() const { return widening != 1; }
  constexpr bool skips() const { return stride == 1 && in == out; }
};

/// Block i of an EfficientNet.
constexpr MobileBlock block_of(const EfficientNetLite& c, int i) {
  int in = c.stem;
  for (const MobileStage& stage : c.stages) {
    if (i == 0) return {in, stage.out, stage.kernel, stage.stride, stage.widening};
    if (i < stage.repeats) return {stage.out, stage.out, stage.kernel, 1, stage.widening};
    i -= stage.repeats;
    in = stage.out;
  }
  return {};
}

/// A convolution of O filters of D numbers each, with the batch norm behind it folded in.
template <int O, int D>
struct Folded {
  template <class S>
  struct Parameters {
    Matrix<S, O, D> weight;
    Vector<S, O> bias;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("weight", O, D, Init::given()), p.weight...);
    visit(vector_spec("bias", O, Init::given()), p.bias...);
  }
};

/// y = [x +] project(relu6(depthwise(relu6(expand x))))      x (cells, in)   y (windows, out)
template <MobileBlock B, Platform P>
struct InvertedResidual {
  static constexpr int F = B.hidden();
  static constexpr Window window = square(B.kernel, B.stride);
  using Expand = Folded<F, B.in>;
  using Depthwise = Folded<F, B.kernel * B.kernel>;
  using Project = Folded<B.out, F>;

  template <class S>
  struct Parameters {
    If<B.expands(), typename Expand::template Parameters<S>> expand;
    typename Depthwise::template Parameters<S> depthwise;
    typename Project::template Parameters<S> project;
  };
  static constexpr void each(auto& visit, auto&... p) {
    if constexpr (B.expands()) {
      auto expand = within(visit, "expand");
      Expand::each(expand, p.expand...);
    }
    auto depthwise = within(visit, "depthwise"), project = within(visit, "project");
    Depthwise::each(depthwise, p.depthwise...);
    Project::each(project, p.project...);
  }

  template <class W>
  static void forward(Context<P>& ctx, const W& w, const Rows<P, B.in>& x, std::span<const Grid> grids,
                      std::span<const Grid> out, const Rows<P, B.out>& y) {
    const auto scope = ctx.scope();
    const auto filtered = scratch<F>(ctx, y.rows);
    if constexpr (B.expands()) {
      const auto wide = scratch<F>(ctx, x.rows);
      ops::convolution(ctx, x, grids, w.expand.weight, w.expand.bias, Window{}, 1, wide, Clip::relu6());
      filter(ctx, w, wide, grids, filtered);
    } else {
      filter(ctx, w, x, grids, filtered);
    }
    ops::convolution(ctx, filtered, out, w.project.weight, w.project.bias, Window{}, 1, y);
    if constexpr (B.skips()) ops::accumulate(ctx, x, y);
  }

 private:
  template <class W>
  static void filter(Context<P>& ctx, const W& w, const Rows<P, F>& x, std::span<const Grid> grids,
                     const Rows<P, F>& y) {
    ops::convolution(ctx, x, grids, w.depthwise.weight, w.depthwise.bias, window, F, y, Clip::relu6());
  }
};

/// pixels (ΣH W, 3), scaled by (x - 127) / 128 -> features (ΣS, D) with S = ceil(H / 32) ceil(W / 32).
template <EfficientNetLite C, Platform P>
struct EfficientNet {
  static_assert(C.stem > 0 && C.head > 0 && C.blocks() > 0, "EfficientNetLite: stem, head and stages must be positive");

  static constexpr int D = C.dim();
  static constexpr bool has_head = C.features == EfficientNetFeatures::head;
  static constexpr auto count = static_cast<std::size_t>(C.blocks());
  static constexpr Window stem_window = square(3, 2);
  template <std::size_t i>
  using Block = InvertedResidual<block_of(C, static_cast<int>(i)), P>;
  using Stem = Folded<C.stem, 27>;
  using Head = Folded<C.head, C.stages.back().out>;

  template <class S, class Index = std::make_index_sequence<count>>
  struct Blocks;
  template <class S, std::size_t... i>
  struct Blocks<S, std::index_sequence<i...>> {
    using Tuple = std::tuple<typename Block<i>::template Parameters<S>...>;
  };
  template <class S>
  struct Parameters {
    typename Stem::template Parameters<S> stem;
    typename Blocks<S>::Tuple blocks;
    If<has_head, typename Head::template Parameters<S>> head;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto stem = within(visit, "stem");
    Stem::each(stem, p.stem...);
    [&]<std::size_t... i>(std::index_sequence<i...>) {
      (each_block<i>(visit, p...), ...);
    }(std::make_index_sequence<count>{});
    if constexpr (has_head) {
      auto head = within(visit, "head");
      Head::each(head, p.head...);
    }
  }

  /// The grid of a picture's features.
  static constexpr Grid features(const Grid& picture) {
    Grid grid = windows_of(picture, stem_window);
    for (std::size_t i = 0; i < count; ++i) {
      const MobileBlock block = block_of(C, static_cast<int>(i));
      grid = windows_of(grid, square(block.kernel, block.stride));
    }
    return grid;
  }

  template <Need need>
  struct Saved {};

  /// A picture's features depend on that picture alone, bit for bit.
  template <Need need = no_gradients, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, 3, const typename P::Real>& pixels,
                             std::span<const Grid> grids, const Rows<P, D>& y) {
    static_assert(!need.any(), "EfficientNet has no backward: its batch norms are folded, train with it frozen");
    check_grids("efficientnet", grids, pixels.rows);
    int cells = 0;
    for (const Grid& grid : grids) cells += features(grid).rows();
    check(y.rows == cells, "efficientnet", "y is ", y.shape(), ", expected (", cells, ", ", D, ')');
    for (int done = 0; !grids.empty();) {
      const auto some = grids.first(std::min(grids.size(), pictures_at_a_time(grids)));
      std::vector<Grid> local(some.begin(), some.end());
      for (Grid& grid : local) grid.first -= some.front().first;
      const int rows =
          forward_some(ctx, w, pixels.slice(some.front().first, cells_of(local)), local, y.slice(done, y.rows - done));
      done += rows;
      grids = grids.subspan(some.size());
    }
    return {};
  }

 private:
  template <std::size_t i, class Visit, class... Leaves>
  static constexpr void each_block(Visit& visit, Leaves&... p) {
    auto block = within(visit, "blocks", static_cast<int>(i));
    Block<i>::each(block, std::get<i>(p.blocks)...);
  }

  /// So many that the widest layer stays in the last-level cache.
  static std::size_t pictures_at_a_time(std::span<const Grid> grids) {
    constexpr int most_pixels = 4 * 160 * 160;
    std::size_t n = 0;
    for (int pixels = 0; n < grids.size() && (n == 0 || pixels + grids[n].rows() <= most_pixels); ++n)
      pixels += grids[n].rows();
    return n;
  }

  /// Writes the first rows of y and returns how many.
  template <class W>
  static int forward_some(Context<P>& ctx, const W& w, const Rows<P, 3, const typename P::Real>& pixels,
                          std::span<const Grid> pictures, const Rows<P, D>& y) {
    const auto scope = ctx.scope();
    std::vector<Grid> grids = windows_of(pictures, stem_window);
    const auto x = scratch<C.stem>(ctx, cells_of(grids));
    ops::convolution(ctx, pixels, pictures, w.stem.weight, w.stem.bias, stem_window, 1, x, Clip::relu6());
    return run_blocks<0>(ctx, w, x, grids, y);
  }
  template <std::size_t i, class W, int Width>
  static int run_blocks(Context<P>& ctx, const W& w, const Rows<P, Width>& x, std::vector<Grid>& grids,
                        const Rows<P, D>& y) {
    if constexpr (i < count) {
      std::vector<Grid> out = windows_of(grids, Block<i>::window);
      constexpr int width = block_of(C, static_cast<int>(i)).out;
      const int rows = cells_of(out);
      const auto next = i + 1 == count && !has_head ? Rows<P, width>{y.data, rows, {}} : scratch<width>(ctx, rows);
      Block<i>::forward(ctx, std::get<i>(w.blocks), x, grids, out, next);
      return run_blocks<i + 1>(ctx, w, next, grids = std::move(out), y);
    } else if constexpr (has_head) {
      ops::convolution(ctx, x, grids, w.head.weight, w.head.bias, Window{}, 1, y.slice(0, x.rows), Clip::relu6());
    }
    return x.rows;
  }
};

/// The classifier that an EfficientNet was trained with: logits (M, classes) of head features (ΣS, head).
template <EfficientNetLite C, Platform P>
struct EfficientNetClassifier {
  template <class S>
  struct Parameters {
    Matrix<S, C.classes, C.head> weight;
    Vector<S, C.classes> bias;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("weight", C.classes, C.head, Init::given()), p.weight...);
    visit(vector_spec("bias", C.classes, Init::given()), p.bias...);
  }

  template <class W>
  static void forward(Context<P>& ctx, const W& w, const Rows<P, C.head, const typename P::Real>& features,
                      std::span<const Grid> grids, const Rows<P, C.classes>& logits) {
    const auto scope = ctx.scope();
    const auto mean = scratch<C.head>(ctx, logits.rows);
    ops::picture_mean(ctx, features, grids, mean);     // (M, head)
    ops::linear(ctx, mean, w.weight, w.bias, logits);  // (M, classes)
  }
};

}  // namespace flamingo::model
