#include <flamingo/io/safetensors.hpp>

#include "memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const flamingo::tests::MemoryFile bytes(data, size);
    flamingo::tests::read_all(flamingo::io::Safetensors(bytes.path()));
  } catch (const flamingo::Error&) {
  }
  return 0;
}
