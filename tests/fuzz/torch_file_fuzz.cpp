// A whole archive, or after a first byte of 0 a pickle alone, which a change of one byte does not lock behind sizes.
#include <flamingo/io/torch_file.hpp>

#include "memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    if (size > 0 && data[0] == 0) {
      static const std::vector<std::byte> storage(96);
      const flamingo::io::detail::PickleMachine machine(
          {reinterpret_cast<const char*>(data) + 1, size - 1}, "fuzz", 4096,
          [](std::string_view key) -> std::optional<std::span<const std::byte>> {
            if (key.empty() || key.front() > '3') return std::nullopt;
            return std::span(storage).first(24 * static_cast<std::size_t>(1 + (key.front() & 3)));
          });
      if (const auto* tensor = machine.root().as<flamingo::io::TensorView>()) {
        unsigned sum = 0;
        for (const std::byte byte : tensor->bytes) sum += std::to_integer<unsigned>(byte);
        [[maybe_unused]] volatile unsigned kept = sum;
      }
    } else {
      const flamingo::tests::MemoryFile bytes(data, size);
      flamingo::tests::read_all(flamingo::io::TorchFile(bytes.path()));
    }
  } catch (const flamingo::Error&) {
  }
  return 0;
}
