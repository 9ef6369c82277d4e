/// Bytes out of gzip or zlib data, never more than asked for. Component `web`.
#pragma once
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <flamingo/core/check.hpp>

namespace flamingo::web {

/// zlib's state for reading; `window` as inflateInit2 has it.
class Inflate {
 public:
  static constexpr int gzip = 16 + MAX_WBITS, gzip_or_zlib = 32 + MAX_WBITS, raw = -MAX_WBITS;

  explicit Inflate(int window) { check(inflateInit2(&stream_, window) == Z_OK, "gzip", "zlib does not start"); }
  Inflate(const Inflate&) = delete;
  Inflate& operator=(const Inflate&) = delete;
  ~Inflate() { inflateEnd(&stream_); }

  enum class State { more, end, damaged };

  /// Takes from the front of `in` and puts to the front of `out`, both shortened. `more`: give it more of either.
  State run(std::string_view& in, char*& out, std::size_t& room) {
    // zlib's interface has no const; it does not write there.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(std::min<std::size_t>(in.size(), 1u << 30));
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(room, 1u << 30));
    const uInt had_in = stream_.avail_in, had_out = stream_.avail_out;
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    in.remove_prefix(had_in - stream_.avail_in);
    const std::size_t made = had_out - stream_.avail_out;
    out += made;
    room -= made;
    if (result == Z_STREAM_END) return State::end;
    return result == Z_OK || result == Z_BUF_ERROR ? State::more : State::damaged;
  }
  void reset() { inflateReset(&stream_); }

 private:
  z_stream stream_{};
};

/// Everything that gzip, zlib or (where `raw`) bare deflate data holds; what a damaged or truncated end leaves. Throws
/// Error beyond `most` bytes.
inline std::string inflated(std::string_view data, std::size_t most, std::string_view source = "data") {
  // "deflate" is zlib data to the standard and bare to some servers.
  const bool gzip = data.starts_with("\x1f\x8b");
  const bool zlib = data.size() > 1 && (data[0] & 0x0f) == 8 &&
                    (static_cast<unsigned char>(data[0]) * 256u + static_cast<unsigned char>(data[1])) % 31 == 0;
  Inflate inflate(gzip || zlib ? Inflate::gzip_or_zlib : Inflate::raw);
  std::string result;
  std::array<char, 16384> buffer{};
  for (Inflate::State state = Inflate::State::more; state == Inflate::State::more;) {
    char* out = buffer.data();
    std::size_t room = buffer.size();
    const std::size_t before = data.size();
    state = inflate.run(data, out, room);
    const std::size_t made = buffer.size() - room;
    check(result.size() + made <= most, "gzip", source, ": it holds more than ", most, " bytes");
    result.append(buffer.data(), made);
    if (made == 0 && before == data.size()) break;  // truncated
  }
  return result;
}

}  // namespace flamingo::web
