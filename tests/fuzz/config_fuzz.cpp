#include <flamingo/io/hf_config.hpp>

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flamingo::io;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    read_hf_config(Json::parse(text, "fuzz", {.bytes = 1u << 20, .depth = 16, .values = 1u << 16}), "fuzz");
  } catch (const flamingo::Error&) {
  }
  return 0;
}
