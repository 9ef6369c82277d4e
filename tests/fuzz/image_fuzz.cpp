// Pictures from strangers, by both decoders: an Error or a picture, nothing else. What both make of a file is turned,
// laid over white and resized, too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <flamingo/core/check.hpp>
#include <flamingo/io/image_codecs.hpp>
#include <flamingo/io/resize.hpp>

namespace {

using namespace flamingo;

/// True when it is a picture.
template <class Decoder>
bool read(std::span<const std::byte> file, int at_least) {
  try {
    const io::RawImage raw = io::decode_raw<Decoder>(file, "fuzz", {.max_pixels = 10'000, .at_least = at_least});
    if (raw.samples.size() != static_cast<std::size_t>(raw.width) * static_cast<std::size_t>(raw.height) *
                                  static_cast<std::size_t>(io::channels(raw.mode)))
      std::abort();
    static_cast<void>(io::over(raw));
    static_cast<void>(io::resize(raw, 7, 5));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  read<io::Stb>(file, 0);
  if (read<io::Codecs>(file, 0)) read<io::Codecs>(file, 2);
  return 0;
}
