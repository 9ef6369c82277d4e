/// Packed matrices of weights on raw pointers: seven formats, how their bytes lie on a device, and their rows as
/// numbers.
///
///   unpack_rows: y[n] = w[index[n]], or w[n] without an index
///
/// w (O, D); y (N, D), packed. Formats of one number (f32, f16, bf16, int8) lie row after row, as in a file. Formats of
/// blocks (q8_0, q4_0, q4_1: 32 numbers with a scale, and an offset, in half) lie in panels of 32 rows, the last one
/// filled up, so that warps read whole lines of 16 bytes a lane. A panel is a list of groups: four blocks of 4-bit
/// numbers or two of bytes, as many as fill 64 bytes of each row; the last group may have fewer. A group of n blocks
/// holds
///
///   for each of 32 rows, quarter q < 4, block < n:  numbers 8 q .. 8 q + 7 of the block: bytes in their order; of
///                                                   nibbles, from the lowest, first 0 2 4 6, then 1 3 5 7
///   for each of 32 rows, block < n:                 its scale;   after all of them, likewise, the offsets
///
/// so a panel takes as many bytes as 32 rows of the file, and any panel begins a matrix of its own. An index outside
/// the matrix reads NaN.
///
///   std::vector<std::byte> panels(flamingo::raw::packed_bytes(PackedFormat::q4_0, O, D));
///   flamingo::raw::arrange_blocks(PackedFormat::q4_0, gguf_bytes, O, D, panels.data());   // on the host
///   const flamingo::raw::PackedView w{on_device(panels), nullptr, PackedFormat::q4_0, O, D};
///   const cudaError_t error = flamingo::raw::unpack_rows(w, ids, y, N, stream);
#pragma once
#include <cstddef>
#include <cstring>

#include "tile.cuh"

namespace flamingo::raw {

enum class PackedFormat : unsigned char {
  f32,
  f16,
  bfloat,  ///< bf16
  int8,    ///< signed bytes, one float scale per row
  q8_0,    ///< scale, 32 signed bytes
  q4_0,    ///< scale, 32 nibbles less 8
  q4_1     ///< scale, offset, 32 nibbles
};
__host__ __device__ constexpr bool in_blocks(PackedFormat format) { return format >= PackedFormat::q8_0; }

/// A matrix (O, D) on the device.
struct PackedView {
  const void* data;     ///< at a multiple of 16 where it lies in blocks
  const float* scales;  ///< (O), for int8 alone
  PackedFormat format;
  int O, D;  ///< D is a multiple of 32 in blocks
};

inline constexpr int packed_panel = 32;  ///< rows

/// A format of blocks: how many 32-bit words hold eight of its numbers, how many blocks make a group, and bytes.
struct BlockShape {
  int words, group, header, bytes;
};
__host__ __device__ constexpr BlockShape block_shape(PackedFormat format) {
  const int words = format == PackedFormat::q8_0 ? 2 : 1, header = format == PackedFormat::q4_1 ? 4 : 2;
  return {words, 4 / words, header, 16 * words + header};
}

/// A group of a panel.
struct BlockGroup {
  const unsigned char* data;
  int blocks;  ///< in it

  /// Numbers 8 quarter .. of one of its blocks.
  __host__ __device__ const unsigned char* numbers(BlockShape shape, int row, int quarter, int block) const {
    return data + ((row * 4 + quarter) * blocks + block) * shape.words * 4;
  }
  /// The scale (which = 0) or the offset (1) of a row's block.
  __host__ __device__ const unsigned char* header(BlockShape shape, int row, int block, int which) const {
    return data + packed_panel * blocks * (16 * shape.words + 2 * which) + (row * blocks + block) * 2;
  }
};
/// Group `index` of the panel that holds row `row`.
__host__ __device__ inline BlockGroup block_group(const void* data, BlockShape shape, int D, int row, int index) {
  const int blocks = D / 32, first = index * shape.group, rest = blocks - first;
  const long long before = static_cast<long long>(row / packed_panel) * blocks + first;
  return {static_cast<const unsigned char*>(data) + before * packed_panel * shape.bytes,
          rest < shape.group ? rest : shape.group};
}

/// Bytes of a matrix on the device.
constexpr std::size_t packed_bytes(PackedFormat format, int O, int D) {
  const auto size = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
  if (in_blocks(format)) return size(tiles_over(O, packed_panel) * packed_panel, D / 32 * block_shape(format).bytes);
  return size(O, D) * (format == PackedFormat::f32 ? 4 : format == PackedFormat::int8 ? 1 : 2);
}

/// On the host: rows of blocks as GGUF has them (scale, offset, then bytes, or 16 bytes whose low nibbles are the first
/// half of the block) into packed_bytes() of panels.
inline void arrange_blocks(PackedFormat format, const void* rows, int O, int D, void* panels) {
  const BlockShape shape = block_shape(format);
  auto* const to = static_cast<unsigned char*>(panels);
  const auto* from = static_cast<const unsigned char*>(rows);
  const auto place = [&](const unsigned char* at) { return to + (at - static_cast<const unsigned char*>(panels)); };
  std::memset(panels, 0, packed_bytes(format, O, D));
  for (int row = 0; row < O; ++row)
    for (int block = 0; block < D / 32; ++block, from += shape.bytes) {
      const BlockGroup group = block_group(panels, shape, D, row, block / shape.group);
      const int in_panel = row % packed_panel, in_group = block % shape.group;
      for (int h = 0; h < shape.header / 2; ++h)
        std::memcpy(place(group.header(shape, in_panel, in_group, h)), from + 2 * h, 2);
      const unsigned char* const numbers = from + shape.header;
      for (int quarter = 0; quarter < 4; ++quarter) {
        unsigned char* const eight = place(group.numbers(shape, in_panel, quarter, in_group));
        if (format == PackedFormat::q8_0) {
          std::memcpy(eight, numbers + 8 * quarter, 8);
          continue;
        }
        const int shift = quarter / 2 * 4;
        const auto nibble = [&](int i) { return (numbers[quarter % 2 * 8 + i] >> shift) & 15; };
        for (int i = 0; i < 2; ++i) {
          eight[i] = static_cast<unsigned char>(nibble(4 * i) | nibble(4 * i + 2) << 4);
          eight[i + 2] = static_cast<unsigned char>(nibble(4 * i + 1) | nibble(4 * i + 3) << 4);
        }
      }
    }
}

/// Eight neighbours of a row.
template <class A>
struct Eight {
  A value[8];
};

/// Numbers k .. k + 7 of a row that lies as numbers of T, zeros from D on; a whole one where `aligned`.
template <class T>
__device__ inline Pack<T, 8> read_eight_of(const T* row, int k, int D, bool aligned) {
  constexpr int count = sizeof(T) == 1 ? 8 : pack_count<T>;
  Pack<T, 8> eight;
  for (int i = 0; i < 8; i += count) {
    if (aligned) {
      const auto part = read_once<Pack<T, count>>(row + k + i);
      for (int j = 0; j < count; ++j) eight.value[i + j] = part.value[j];
    } else {
      for (int j = i; j < i + count; ++j) eight.value[j] = k + j < D ? row[k + j] : T{};
    }
  }
  return eight;
}

/// Numbers k .. k + 7 of row `row`, as floats: those that the format means, exactly (q4_1: rounded once). k is a
/// multiple of 8; aligned: rows begin on 16 bytes (8 for int8) and D is a multiple of 8, so that all eight are there.
template <PackedFormat F>
__device__ inline Eight<float> read_eight(const PackedView& w, int row, int k, bool aligned) {
  Eight<float> eight;
  const long long first = static_cast<long long>(row) * w.D;
  if constexpr (in_blocks(F)) {
    constexpr BlockShape shape = block_shape(F);
    const int block = k / 32, in_panel = row % packed_panel, in_group = block % shape.group;
    const BlockGroup group = block_group(w.data, shape, w.D, row, block / shape.group);
    const auto half = [&](int which) {
      return widen_half(*reinterpret_cast<const unsigned short*>(group.header(shape, in_panel, in_group, which)));
    };
    const float scale = half(0), offset = F == PackedFormat::q4_1 ? half(1) : 0;
    const auto words = read_once<Pack<unsigned, shape.words>>(group.numbers(shape, in_panel, k / 8 % 4, in_group));
    for (int i = 0; i < 8; ++i) {
      const int nibble = i / 2 * 4 + i % 2 * 16;
      if constexpr (F == PackedFormat::q8_0)
        eight.value[i] = scale * static_cast<float>(static_cast<signed char>(words.value[i / 4] >> (i % 4 * 8) & 255));
      else if constexpr (F == PackedFormat::q4_0)
        eight.value[i] = scale * static_cast<float>(static_cast<int>(words.value[0] >> nibble & 15) - 8);
      else
        eight.value[i] = scale * static_cast<float>(words.value[0] >> nibble & 15) + offset;
    }
  } else if constexpr (F == PackedFormat::f32) {
    const auto numbers = read_eight_of(static_cast<const float*>(w.data) + first, k, w.D, aligned);
    for (int i = 0; i < 8; ++i) eight.value[i] = numbers.value[i];
  } else if constexpr (F == PackedFormat::int8) {
    const auto numbers = read_eight_of(static_cast<const signed char*>(w.data) + first, k, w.D, aligned);
    const float scale = w.scales[row];
    for (int i = 0; i < 8; ++i) eight.value[i] = scale * static_cast<float>(numbers.value[i]);
  } else {
    const auto numbers = read_eight_of(static_cast<const unsigned short*>(w.data) + first, k, w.D, aligned);
    for (int i = 0; i < 8; ++i) {
      if constexpr (F == PackedFormat::f16) {
        eight.value[i] = widen_half(numbers.value[i]);
      } else {
        const unsigned bits = static_cast<unsigned>(numbers.value[i]) << 16;
        memcpy(&eight.value[i], &bits, sizeof bits);
      }
    }
  }
  return eight;
}

/// The same of a format that is known when the kernel runs: for kernels that memory alone holds up.
__device__ inline Eight<float> read_eight(const PackedView& w, int row, int k, bool aligned) {
  switch (w.format) {
    case PackedFormat::f16:
      return read_eight<PackedFormat::f16>(w, row, k, aligned);
    case PackedFormat::bfloat:
      return read_eight<PackedFormat::bfloat>(w, row, k, aligned);
    case PackedFormat::int8:
      return read_eight<PackedFormat::int8>(w, row, k, aligned);
    case PackedFormat::q8_0:
      return read_eight<PackedFormat::q8_0>(w, row, k, aligned);
    case PackedFormat::q4_0:
      return read_eight<PackedFormat::q4_0>(w, row, k, aligned);
    case PackedFormat::q4_1:
      return read_eight<PackedFormat::q4_1>(w, row, k, aligned);
    case PackedFormat::f32:
      break;
  }
  return read_eight<PackedFormat::f32>(w, row, k, aligned);
}

/// Whether rows can be read in whole eights.
inline bool reads_eights(const PackedView& w) {
  return reinterpret_cast<std::uintptr_t>(w.data) % 16 == 0 && w.D % 8 == 0;
}
/// Whether the matrix lies as its format asks.
inline bool lies_right(const PackedView& w) {
  return !in_blocks(w.format) || (reinterpret_cast<std::uintptr_t>(w.data) % 16 == 0 && w.D % 32 == 0);
}

inline constexpr int unpack_threads = 128;

/// A block a row.
template <class R>
static __global__ void __launch_bounds__(unpack_threads)
    unpack_rows_kernel(const PackedView w, const R* more, int more_rows, const int* index, R* y, bool aligned) {
  const int n = block_index_x(), from = index ? index[n] : n;
  const bool own = from >= 0 && from < w.O, other = from >= w.O && from - w.O < more_rows;
  const R* const row = other ? more + static_cast<long long>(from - w.O) * w.D : nullptr;
  R* const to = y + static_cast<long long>(n) * w.D;
  for (int k = thread_index() * 8; k < w.D; k += unpack_threads * 8) {
    Pack<R, 8> eight;
    if (own) {
      const Eight<float> numbers = read_eight(w, from, k, aligned);
      for (int i = 0; i < 8; ++i) eight.value[i] = narrow<R>(static_cast<Accumulate<R>>(numbers.value[i]));
    } else {
      for (int i = 0; i < 8; ++i)
        eight.value[i] = row && k + i < w.D ? row[k + i] : narrow<R>(static_cast<Accumulate<R>>(NAN));
    }
    constexpr int count = pack_count<R>;
    for (int i = 0; i < 8; i += count) {
      Pack<R, count> part;
      for (int j = 0; j < count; ++j) part.value[j] = eight.value[i + j];
      if (aligned)
        store_pack(to + k + i, part);
      else
        for (int j = 0; j < count; ++j)
          if (k + i + j < w.D) to[k + i + j] = part.value[j];
    }
  }
}

/// Writes y (N, D): rows of w, and after its O rows those of `more` (more_rows, D), which is stored as y is.
template <class R>
cudaError_t unpack_rows(const PackedView& w, const R* more, int more_rows, const int* index, R* y, int N,
                        cudaStream_t stream) {
  if (!lies_right(w)) return cudaErrorInvalidValue;
  const bool aligned = reads_eights(w) && reinterpret_cast<std::uintptr_t>(y) % 16 == 0;
  return launch(grid_of(w.D > 0 && N > 0 ? N : 0), unpack_threads, 0, stream, unpack_rows_kernel<R>, w, more, more_rows,
                index, y, aligned);
}
/// Writes y (N, D): rows of w alone; index may be null.
template <class R>
cudaError_t unpack_rows(const PackedView& w, const int* index, R* y, int N, cudaStream_t stream) {
  return unpack_rows(w, static_cast<const R*>(nullptr), 0, index, y, N, stream);
}

}  // namespace flamingo::raw
