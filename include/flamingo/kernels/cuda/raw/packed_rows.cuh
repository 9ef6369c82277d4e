/// The dense product of few rows with packed weights, as decoding has them, on raw pointers.
///
///   packed_rows_forward:  y = x wᵀ
///   packed_rows_onto:     y = base + [tanh(gate)] (x wᵀ + bias)
///   packed_rows_several:  y = x wᵀ + bias, of up to three w of one format
///
/// x (N, D); w (O, D) in any format of packed.cuh; base, y (N, O); rows packed; bias and gate as in few_rows.cuh.
/// Weights are read once for each eight rows of x and widened in registers. bf16 goes to the matrix units, where the
/// integers of a format are exact: the sum of a block (int8: of a row) is multiplied by its scale in float, and a half
/// is the sum of two bf16. f32, and whatever is not aligned, and float and double are multiplied number by number in
/// Accumulate<R>. Every sum has one order, which depends on D alone (bf16 as it lies: few_rows.cuh): the bits of a
/// row depend neither on the other rows nor on how many there are.
///
///   const flamingo::raw::PackedView w{bytes, nullptr, PackedFormat::q4_0, O, D};   // packed.cuh tells how they lie
///   const cudaError_t error = flamingo::raw::packed_rows_forward(x, w, y, N, stream);
#pragma once
#include <cstddef>

#include "few_rows.cuh"
#include "packed.cuh"

namespace flamingo::raw {

/// A map of rows by a packed matrix.
template <class R>
struct PackedMap {
  PackedView w;
  const Accumulate<R>* bias;
  R* y;

  __host__ __device__ int outputs() const { return w.O; }
};
template <class R>
using PackedMaps = Several<PackedMap<R>>;

inline constexpr int packed_rows_warps = 8, packed_rows_outputs = 4;  ///< of the kernel for any R

/// Asks for the beginnings of rows [first, first + rows); of blocks, for that of their panels, whose groups hold all
/// rows.
template <PackedFormat F>
__device__ inline void ask_for_packed_rows(const PackedView& w, int first, int rows) {
  if constexpr (in_blocks(F)) {
    const long long panel = static_cast<long long>(w.D / 32) * block_shape(F).bytes * packed_panel;
    const auto* const begin = static_cast<const unsigned char*>(w.data) + first / packed_panel * panel;
    const long long share = static_cast<long long>(rows) * ahead_bytes, bytes = panel < share ? panel : share;
    for (long long at = thread_index() * 128; at < bytes; at += static_cast<long long>(blockDim.x) * 128)
      ask_for(begin + at);
  } else {
    constexpr int size = F == PackedFormat::f32 ? 4 : F == PackedFormat::int8 ? 1 : 2;
    ask_for_rows(w.data, first, rows, w.O, static_cast<long long>(w.D) * size);
  }
}

/// Lanes take neighbouring eights of the depth; every eighth row of x is another block's.
template <PackedFormat F, int Warps, int Outputs, class R>
static __global__ void __launch_bounds__(Warps * 32)
    packed_rows_kernel(const R* x, const __grid_constant__ PackedMaps<R> maps, Plain<R> finish, int N, bool aligned) {
  using A = Accumulate<R>;
  struct Sums {
    Array<Array<A, Outputs * few_rows>, Warps> value;
  };
  let_successor_start();
  Sums& shared = shared_memory<Sums>();
  const auto [index, first] = outputs_of(maps, block_index_x(), Outputs);
  const PackedView w = maps.map[index].w;
  const int first_row = block_index_y() * few_rows;
  ask_for_packed_rows<F>(w, first, Outputs);
  wait_for_predecessors();
  const int rows = N - first_row < few_rows ? N - first_row : few_rows;
  x += static_cast<long long>(first_row) * w.D;

  Array<Array<A, few_rows>, Outputs> sums = {};
  for (int k = thread_index() * 8; k < w.D; k += Warps * 32 * 8) {
    Array<Eight<float>, Outputs> ws;
    for (int o = 0; o < Outputs; ++o)  // beyond the end: the last one again, whose sum nobody reads
      ws[o] = read_eight<F>(w, first + o < w.O ? first + o : w.O - 1, k, aligned);
    FLAMINGO_UNROLL
    for (int n = 0; n < few_rows; ++n) {
      if (n >= rows) continue;
      const R* const row = x + static_cast<long long>(n) * w.D;
      constexpr int count = pack_count<R>;
      Pack<R, 8> xs;
      for (int i = 0; i < 8; i += count) {
        if (aligned) {
          const Pack<R, count> part = load_pack<count>(row + k + i);
          for (int j = 0; j < count; ++j) xs.value[i + j] = part.value[j];
        } else {
          for (int j = i; j < i + count; ++j) xs.value[j] = k + j < w.D ? row[k + j] : narrow<R>(0);
        }
      }
      for (int i = 0; i < 8; ++i)
        for (int o = 0; o < Outputs; ++o) sums[o][n] += static_cast<A>(ws[o].value[i]) * widen(xs.value[i]);
    }
  }
  FLAMINGO_UNROLL
  for (int o = 0; o < Outputs; ++o)
    for (int n = 0; n < few_rows; ++n) {
      const A sum = warp_sum(sums[o][n]);
      if (lane_index() == 0) shared.value[warp_index()][n * Outputs + o] = sum;
    }
  __syncthreads();
  const long long before = static_cast<long long>(first_row) * w.O;
  if (finish.base) finish.base += before;
  store_few_rows<Warps, Outputs>(shared.value, finish, maps.map[index].bias, maps.map[index].y + before, first, rows,
                                 w.O);
}

template <PackedFormat F>
constexpr bool of_bytes = F == PackedFormat::q8_0 || F == PackedFormat::int8;
template <PackedFormat F>
constexpr bool of_nibbles = F == PackedFormat::q4_0 || F == PackedFormat::q4_1;

/// The bf16 whose sum two numbers of an eight are, exactly: of bytes two that matching_pair names, else number 2 i and
/// the one after it. Nibbles are 128 too large. Halves have more bits than one bf16, so there are a first and a rest.
template <PackedFormat F>
__device__ inline unsigned number_pair(const unsigned* words, int i) {
  constexpr unsigned ones = 0x43004300u;  // 128 and 128: their last bit is 1
  if constexpr (of_bytes<F>) {
    const unsigned bytes = words[i / 2] >> (i % 2 * 8);  // 128 + its low bits, less 128, or 256 where it is negative
    return subtract_bf16_pairs((bytes & 0x007f007fu) | ones, (bytes & 0x00800080u) | ones);
  } else {
    return (words[0] >> (i * 4) & 0x000f000fu) | ones;
  }
}
struct TwoPairs {
  unsigned first, rest;
};
__device__ inline TwoPairs half_pairs(unsigned halves) {
  const float low = widen_half(static_cast<unsigned short>(halves)),
              high = widen_half(static_cast<unsigned short>(halves >> 16));
  unsigned low_bits, high_bits;
  memcpy(&low_bits, &low, sizeof low);
  memcpy(&high_bits, &high, sizeof high);
  low_bits &= 0xffff0000u;
  high_bits &= 0xffff0000u;
  float low_first, high_first;
  memcpy(&low_first, &low_bits, sizeof low);
  memcpy(&high_first, &high_bits, sizeof high);
  return {low_bits >> 16 | high_bits, bf16_pair(low - low_first, high - high_first)};
}
/// The pair of x (eight neighbours in four registers) that a pair is multiplied by: of bytes every second one, 0 2, 1
/// 3, 4 6, 5 7; else neighbours.
template <PackedFormat F>
__device__ inline unsigned matching_pair(const unsigned (&x)[4], int i) {
  if constexpr (!of_bytes<F>) return x[i];
  const unsigned one = x[i / 2 * 2], other = x[i / 2 * 2 + 1];
  return i % 2 ? one >> 16 | (other & 0xffff0000u) : (one & 0xffffu) | other << 16;
}

/// What a lane loads of a row in a step: 64 bytes of it lie in four lanes.
template <PackedFormat F>
struct RowPart {
  static constexpr BlockShape shape = F == PackedFormat::f16    ? BlockShape{4, 1, 0, 64}
                                      : F == PackedFormat::int8 ? BlockShape{2, 2, 0, 32}
                                                                : block_shape(F);
  static constexpr int pairs = (shape.group + 1) / 2;
  Array<unsigned, pairs> scales, offsets;
  unsigned words[4];

  __device__ static float half(const Array<unsigned, pairs>& halves, int block) {
    return widen_half(static_cast<unsigned short>(halves[block / 2] >> (block % 2 * 16)));
  }
};
/// Of rows of numbers: sixteen bytes from number k on; zeros beyond the last row or number.
template <PackedFormat F>
__device__ inline RowPart<F> load_numbers(const PackedView& w, int row, int k) {
  RowPart<F> part = {};
  if (row >= w.O || k >= w.D) return part;
  constexpr int size = F == PackedFormat::f16 ? 2 : 1;
  const long long at = (static_cast<long long>(row) * w.D + k) * size;
  const auto words = read_once<Pack<unsigned, 4>>(static_cast<const unsigned char*>(w.data) + at);
  memcpy(part.words, &words, sizeof words);
  return part;
}
/// Of blocks: a quarter of a row's group. Panels are filled up, so every row is there.
template <PackedFormat F>
__device__ inline RowPart<F> load_blocks(const BlockGroup& group, int row, int quarter) {
  using Part = RowPart<F>;
  constexpr BlockShape shape = Part::shape;
  Part part = {};
  if (group.blocks == shape.group) {
    constexpr int bytes = packed_panel * 64, pairs = 2 * shape.group;  // of all numbers, of a row's scales
    const unsigned char* const scales = group.data + bytes + row * pairs;
    const auto words = read_once<Pack<unsigned, 4>>(group.data + (row * 4 + quarter) * 16);
    memcpy(part.words, &words, sizeof words);
    const auto halves = [](Array<unsigned, Part::pairs>& to, const unsigned char* from) {
      const auto pack = load_pack<Part::pairs>(reinterpret_cast<const unsigned*>(from));
      memcpy(to, &pack, sizeof pack);
    };
    halves(part.scales, scales);
    if constexpr (F == PackedFormat::q4_1) halves(part.offsets, scales + packed_panel * pairs);
    return part;
  }
  FLAMINGO_UNROLL
  for (int b = 0; b < shape.group; ++b) {
    if (b >= group.blocks) continue;
    const auto* const words = reinterpret_cast<const unsigned*>(group.numbers(shape, row, quarter, b));
    for (int i = 0; i < shape.words; ++i) part.words[b * shape.words + i] = words[i];
    const auto put = [&](Array<unsigned, Part::pairs>& to, int which) {
      const auto half = *reinterpret_cast<const unsigned short*>(group.header(shape, row, b, which));
      to[b / 2] |= static_cast<unsigned>(half) << (b % 2 * 16);
    };
    put(part.scales, 0);
    if constexpr (F == PackedFormat::q4_1) put(part.offsets, 1);
  }
  return part;
}

/// bf16 on the matrix units: Tiles times sixteen rows of w by eight of x. A lane of a tile holds eight neighbours of
/// each block (int8: sixteen of a row), and Steps groups of blocks are on their way at a time. A multiprocessor has
/// room for so many blocks.
template <PackedFormat F, int Tiles, int Steps, int Warps, int Blocks>
static __global__ void __launch_bounds__(Warps * 32, Blocks)
    packed_rows_bf16_kernel(const __nv_bfloat16* x, const __grid_constant__ PackedMaps<__nv_bfloat16> maps,
                            Plain<__nv_bfloat16> finish, int N) {
  constexpr int outputs = 16 * Tiles;
  constexpr BlockShape shape = RowPart<F>::shape;
  constexpr int depth = shape.group * 32;
  struct Sums {
    Array<Array<float, outputs * few_rows>, Warps> value;
  };
  let_successor_start();
  Sums& shared = shared_memory<Sums>();
  const auto [index, first] = outputs_of(maps, block_index_x(), outputs);
  const PackedView w = maps.map[index].w;
  const int first_row = block_index_y() * few_rows;
  ask_for_packed_rows<F>(w, first, outputs);
  wait_for_predecessors();
  const int rows = N - first_row < few_rows ? N - first_row : few_rows;
  const int row = lane_index() / 4, quarter = lane_index() % 4;
  const bool valid = row < rows;
  const __nv_bfloat16* const x_row = x + static_cast<long long>(first_row + (valid ? row : 0)) * w.D;

  Array<float[4], Tiles> sums = {};
  for (int base = warp_index(); base * depth < w.D; base += Warps * Steps) {
    Array<Array<RowPart<F>[2], Tiles>, Steps> parts;
    FLAMINGO_UNROLL
    for (int s = 0; s < Steps; ++s) {
      const int at = base + s * Warps;
      BlockGroup group = {nullptr, 0};
      if constexpr (in_blocks(F))
        if (at * depth < w.D) group = block_group(w.data, shape, w.D, first, at);
      for (int t = 0; t < Tiles; ++t)
        for (int half = 0; half < 2; ++half) {
          const int own = t * 16 + half * 8 + row;
          if constexpr (in_blocks(F))
            parts[s][t][half] = load_blocks<F>(group, first % packed_panel + own, quarter);
          else
            parts[s][t][half] = load_numbers<F>(w, first + own, at * depth + quarter * (depth / 4));
        }
    }
    FLAMINGO_UNROLL
    for (int s = 0; s < Steps; ++s) {
      FLAMINGO_UNROLL
      for (int b = 0; b < shape.group; ++b) {
        const int k =
            (base + s * Warps) * depth + (F == PackedFormat::int8 ? quarter * 16 + b * 8 : b * 32 + quarter * 8);
        const DepthPack own = load_depths<true, false>(x_row, k, w.D, valid);
        unsigned xs[4];
        for (int i = 0; i < 4; ++i) xs[i] = matching_pair<F>(own.pair, i);
        float begin[4] = {};  // what makes up for nibbles that are 128, or with the 8 of q4_0 136, too large
        constexpr unsigned excess = F == PackedFormat::q4_0 ? 0xc308c308u : 0xc300c300u;
        if constexpr (of_nibbles<F>)
          for (int half = 0; half < 2; ++half)
            multiply_add_16x8x16(begin, {excess, excess, excess, excess}, {xs[2 * half], xs[2 * half + 1]});
        FLAMINGO_UNROLL
        for (int t = 0; t < Tiles; ++t) {
          const RowPart<F>&above = parts[s][t][0], &below = parts[s][t][1];
          const unsigned *const up = above.words + b * shape.words, *const down = below.words + b * shape.words;
          float block[4] = {begin[0], begin[1], begin[2], begin[3]};
          float(&to)[4] = in_blocks(F) ? block : sums[t];
          for (int i = 0; i < 4; i += 2) {
            const unsigned b2[2] = {xs[i], xs[i + 1]};
            if constexpr (F == PackedFormat::f16) {
              const TwoPairs a[4] = {half_pairs(up[i]), half_pairs(down[i]), half_pairs(up[i + 1]),
                                     half_pairs(down[i + 1])};
              multiply_add_16x8x16(to, {a[0].first, a[1].first, a[2].first, a[3].first}, b2);
              multiply_add_16x8x16(to, {a[0].rest, a[1].rest, a[2].rest, a[3].rest}, b2);
            } else {
              multiply_add_16x8x16(to,
                                   {number_pair<F>(up, i), number_pair<F>(down, i), number_pair<F>(up, i + 1),
                                    number_pair<F>(down, i + 1)},
                                   b2);
            }
          }
          if constexpr (in_blocks(F))
            for (int i = 0; i < 4; ++i) {
              const RowPart<F>& part = i < 2 ? above : below;
              sums[t][i] += RowPart<F>::half(part.scales, b) * block[i];
              if constexpr (F == PackedFormat::q4_1)
                sums[t][i] += RowPart<F>::half(part.offsets, b) * (begin[i] * -0x1p-7f);
            }
        }
      }
    }
  }
  for (int t = 0; t < Tiles; ++t)
    for (int i = 0; i < 4; ++i) {
      const int output = t * 16 + i / 2 * 8 + row;
      float sum = sums[t][i];
      if constexpr (F == PackedFormat::int8) sum *= first + output < w.O ? w.scales[first + output] : 0;
      shared.value[warp_index()][(quarter * 2 + i % 2) * outputs + output] = sum;
    }
  __syncthreads();
  const long long before = static_cast<long long>(first_row) * w.O;
  if (finish.base) finish.base += before;
  store_few_rows<Warps, outputs>(shared.value, finish, maps.map[index].bias, maps.map[index].y + before, first, rows,
                                 w.O);
}

/// Blocks of packed_rows_bf16_kernel, as an H200 likes them: 32 rows of w each where there are many, else sixteen.
struct PackedRowsPolicy {
  int tiles, steps, warps, blocks;
};
template <PackedFormat F, bool Many>
constexpr PackedRowsPolicy packed_rows_policy =
    of_nibbles<F> ? (Many ? PackedRowsPolicy{2, 1, 8, 3} : PackedRowsPolicy{1, 2, 8, 3})
                  : (Many && F != PackedFormat::f16 ? PackedRowsPolicy{2, 1, 16, 2} : PackedRowsPolicy{1, 2, 16, 2});
inline constexpr int packed_rows_many = 256;  ///< so many blocks of 32 rows

namespace detail {

/// Of one to three maps whose matrices have format F.
template <PackedFormat F, class R>
cudaError_t packed_rows_of(const R* x, const PackedMaps<R>& maps, const Plain<R>& finish, int N, cudaStream_t stream) {
  const int D = maps.map[0].w.D, groups = tiles_over(N, few_rows);
  const bool x_packs = packs(x, D) && D % 8 == 0;
  bool eights = true;
  for (int i = 0; i < maps.count; ++i) eights = eights && reads_eights(maps.map[i].w);
  if constexpr (std::is_same_v<R, __nv_bfloat16> &&
                (in_blocks(F) || F == PackedFormat::int8 || F == PackedFormat::f16)) {
    if (x_packs && (in_blocks(F) || (eights && (F == PackedFormat::f16 || D % 16 == 0)))) {
      const auto start = [&]<bool Many>(std::bool_constant<Many>) {
        constexpr PackedRowsPolicy p = packed_rows_policy<F, Many>;
        constexpr int outputs = 16 * p.tiles;
        return launch_early(grid_of(blocks_of(maps, outputs), groups), p.warps * 32,
                            static_cast<std::size_t>(p.warps * outputs * few_rows) * sizeof(float), stream,
                            packed_rows_bf16_kernel<F, p.tiles, p.steps, p.warps, p.blocks>, x, maps, finish, N);
      };
      return blocks_of(maps, 32) >= packed_rows_many ? start(std::true_type{}) : start(std::false_type{});
    }
  }
  if constexpr (std::is_same_v<R, __nv_bfloat16> && F == PackedFormat::bfloat) {  // as it lies
    for (int row = 0; row < N; row += few_rows) {
      RowMaps<1, R> own{{}, maps.count};
      for (int i = 0; i < maps.count; ++i) {
        const auto& [w, bias, y] = maps.map[i];
        own.map[i] = {{static_cast<const R*>(w.data)}, bias, y + static_cast<long long>(row) * w.O, w.O};
      }
      Plain<R> rest = finish;
      if (rest.base) rest.base += static_cast<long long>(row) * maps.map[0].w.O;
      const cudaError_t error = few_rows_product(x + static_cast<long long>(row) * D, own, rest,
                                                 N - row < few_rows ? N - row : few_rows, D, stream);
      if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
  } else {
    constexpr int warps = packed_rows_warps, outputs = packed_rows_outputs;
    return launch_early(grid_of(blocks_of(maps, outputs), groups), warps * 32,
                        static_cast<std::size_t>(warps * outputs * few_rows) * sizeof(Accumulate<R>), stream,
                        packed_rows_kernel<F, warps, outputs, R>, x, maps, finish, N, x_packs && eights);
  }
}

}  // namespace detail

template <class R>
cudaError_t packed_rows_product(const R* x, const PackedMaps<R>& maps, const Plain<R>& finish, int N,
                                cudaStream_t stream) {
  using F = PackedFormat;
  if (!count_is_right(maps)) return cudaErrorInvalidValue;
  for (int i = 0; i < maps.count; ++i) {
    const PackedView& w = maps.map[i].w;
    if (!lies_right(w) || w.format != maps.map[0].w.format || w.D != maps.map[0].w.D) return cudaErrorInvalidValue;
  }
  switch (maps.map[0].w.format) {
    case F::f32:
      return detail::packed_rows_of<F::f32>(x, maps, finish, N, stream);
    case F::f16:
      return detail::packed_rows_of<F::f16>(x, maps, finish, N, stream);
    case F::bfloat:
      return detail::packed_rows_of<F::bfloat>(x, maps, finish, N, stream);
    case F::int8:
      return detail::packed_rows_of<F::int8>(x, maps, finish, N, stream);
    case F::q8_0:
      return detail::packed_rows_of<F::q8_0>(x, maps, finish, N, stream);
    case F::q4_0:
      return detail::packed_rows_of<F::q4_0>(x, maps, finish, N, stream);
    case F::q4_1:
      return detail::packed_rows_of<F::q4_1>(x, maps, finish, N, stream);
  }
  return cudaErrorInvalidValue;
}

/// Writes y (N, O) = x (N, D) wᵀ. Any N is right; from some dozens on, unpacking w once costs less than reading it for
/// each eight rows.
template <class R>
cudaError_t packed_rows_forward(const R* x, const PackedView& w, R* y, int N, cudaStream_t stream) {
  return packed_rows_product(x, PackedMaps<R>{{{w, nullptr, y}}, 1}, Plain<R>{}, N, stream);
}
/// y (N, O) = x (N, D) wᵀ + bias for each of one to three maps, whose matrices have one format.
template <class R>
cudaError_t packed_rows_several(const R* x, const PackedMaps<R>& maps, int N, cudaStream_t stream) {
  return packed_rows_product(x, maps, Plain<R>{}, N, stream);
}
/// y = base + tanh(gate) (x wᵀ + bias), as few_rows_onto. y may be base.
template <class R>
cudaError_t packed_rows_onto(const R* x, const PackedView& w, const Accumulate<R>* bias, const R* base,
                             const Accumulate<R>* gate, int gates, R* y, int N, cudaStream_t stream) {
  return packed_rows_product(x, PackedMaps<R>{{{w, bias, y}}, 1}, Plain<R>{base, gate, gates}, N, stream);
}

}  // namespace flamingo::raw
