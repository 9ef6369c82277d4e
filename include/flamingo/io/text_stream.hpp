/// Text out of ids that arrive one by one.
#pragma once
#include <cstdint>
#include <string>

#include <flamingo/io/text_joiner.hpp>
#include <flamingo/io/tokenizer.hpp>

namespace flamingo::io {

/// Turns ids into text as they come, holding back bytes until their character is complete. All that it gives, put
/// together, is what Tokenizer::decode gives; only a run of byte tokens with bytes that are no UTF-8, which decode then
/// gives up as a whole, keeps its good characters here: a stream cannot wait for its end.
class TextStream {
 public:
  /// `tokenizer` must live longer than this.
  explicit TextStream(const Tokenizer& tokenizer, DecodeOptions options = {})
      : tokenizer_(&tokenizer), joiner_(tokenizer.decoding(), false), options_(options) {}

  /// The characters that `id` completes: valid UTF-8, perhaps empty.
  std::string push(std::int32_t id) {
    std::string text;
    if (tokenizer_->shown(id, options_)) joiner_.push(tokenizer_->bytes(id), tokenizer_->kind(id), text);
    return text;
  }
  /// The rest: an incomplete character becomes U+FFFD.
  std::string finish() {
    std::string text;
    joiner_.finish(text);
    return text;
  }

 private:
  const Tokenizer* tokenizer_;
  TextJoiner joiner_;
  DecodeOptions options_;
};

}  // namespace flamingo::io
