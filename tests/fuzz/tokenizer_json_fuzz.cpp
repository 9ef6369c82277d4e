// Any bytes as a tokenizer.json: refused by an Error, or a tokenizer whose ids, bytes and text hold together.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/text_stream.hpp>
#include <flamingo/io/tokenizer.hpp>

using namespace flamingo;

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const io::CodePoint point = io::decode_utf8(text, at);
    if (!point.valid) return false;
    at += point.length;
  }
  return true;
}

void use(const io::Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text, {.parse_special = true, .add_special = true});
  for (const std::int32_t id : ids) require(id >= 0 && id < tokenizer.size() && !tokenizer.token(id).empty());
  tokenizer.encode(text, {.begins = false});
  for (const bool skip : {false, true}) {
    require(is_utf8(tokenizer.decode(ids, {.skip_special = skip})));
    io::TextStream stream(tokenizer, {.skip_special = skip});
    for (const std::int32_t id : ids) require(is_utf8(stream.push(id)));
    require(is_utf8(stream.finish()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const io::Tokenizer tokenizer(io::parse_tokenizer_json(bytes, "input"));
    use(tokenizer, "");
    use(tokenizer,
        "  It's <s> a\xe2\x96\x81"
        "b, 1234!\r\n\n e\xcc\x81 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80</s>\xff\xf0\x9f ");
    use(tokenizer, bytes.substr(0, 512));  // holds the words that the file itself names
    std::vector<std::int32_t> every;
    for (std::int32_t id = 0; id < tokenizer.size() && every.size() < 300; ++id) every.push_back(id);
    require(is_utf8(tokenizer.decode(every)));
  } catch (const Error&) {
  }
  return 0;
}
