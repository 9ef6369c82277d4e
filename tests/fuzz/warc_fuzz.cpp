// Archives from strangers: records, each found again at its place, and answers; damage is passed over.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <flamingo/core/check.hpp>
#include <flamingo/data/web/warc.hpp>

#include "memory_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flamingo;
  const tests::MemoryFile file(data, size);
  web::WarcReader reader(file.path(), {.block = 1 << 16, .header = 1 << 12}), again(file.path());
  web::WarcRecord record, same;
  while (reader.next(record)) {
    if (record.cut) continue;
    if (record.block.size() != record.length) std::abort();
    again.go_to(reader.place());
    if (!again.next(same) || same.url != record.url || same.block != record.block) std::abort();
    try {
      if (web::read_http(record.block, 1 << 14).body.size() > 1 << 14) std::abort();
    } catch (const Error&) {
    }
  }
  return 0;
}
