// Shards from strangers: an Error, or samples whose fields lie in the file and records whose parts are whole.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <flamingo/core/check.hpp>
#include <flamingo/data/shards/record.hpp>
#include <flamingo/data/shards/shard.hpp>

#include "memory_file.hpp"

using namespace flamingo;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

/// Most changes break a header's sum and end there: two of three times the sums are made right again.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  for (std::size_t at = 0; at + 512 <= size && seed % 3 != 0; at += 512) {
    if (data[at + 257] != 'u' || data[at + 258] != 's') continue;
    unsigned sum = 0;
    for (std::size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? unsigned{' '} : unsigned{data[at + i]};
    for (std::size_t i = 6; i-- > 0; sum /= 8) data[at + 148 + i] = static_cast<std::uint8_t>('0' + sum % 8);
    data[at + 154] = 0;
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tests::MemoryFile file(data, size);
  try {
    const Shard shard(file.path());
    for (std::size_t i = 0; i < shard.size(); ++i) {
      try {
        const ShardSample sample = shard.sample(i);
        if (sample.fields.empty()) std::abort();
        unsigned sum = 0;
        for (const ShardField& field : sample.fields)
          for (const std::byte b : field.bytes) sum += std::to_integer<unsigned>(b);
        [[maybe_unused]] volatile unsigned kept = sum;
        Record record = read_record(sample, sum % 2 == 0);
        const auto media = record.media.size();
        if (record.document().media().size() != media) std::abort();
        if (media > 0) record.drop(static_cast<int>(sum % media));
        if (record.document().media().size() + (media > 0) != media) std::abort();
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
