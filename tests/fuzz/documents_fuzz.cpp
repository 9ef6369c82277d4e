// Indices of shards and documents as JSON from strangers: an Error, or values that write and read back as they are.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <flamingo/core/check.hpp>
#include <flamingo/data/interleaved.hpp>
#include <flamingo/data/shards/record.hpp>
#include <flamingo/data/shards/shard_index.hpp>

using namespace flamingo;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  io::Json json;
  try {
    json = io::Json::parse(text);
  } catch (const Error&) {
    return 0;
  }
  try {
    const ShardIndex index = ShardIndex::of(json, "fuzz");
    for (const ShardInfo& shard : index.shards)
      if (shard.file.starts_with('/') || shard.file.find("..") == 0 || shard.samples < 0) std::abort();
    if (!(ShardIndex::of(io::Json::parse(index.json().dump()), "again").shards == index.shards)) std::abort();
  } catch (const Error&) {
  }
  try {
    const InterleavedDocument page = InterleavedDocument::of(json);
    if (!(InterleavedDocument::of(io::Json::parse(page.json().dump())) == page)) std::abort();
  } catch (const Error&) {
  }
  try {
    ShardSample sample{.key = "k", .fields = {}};
    sample.fields.push_back({"json", std::as_bytes(std::span(data, size))});
    sample.fields.push_back({"0.jpg", std::as_bytes(std::span(data, size))});
    static_cast<void>(read_record(sample).document());
  } catch (const Error&) {
  }
  return 0;
}
