/// Bytes that arrive token by token, as whole characters: UTF-8 never breaks, and the rules of a Decoding hold.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/io/pieces.hpp>
#include <flamingo/io/unicode.hpp>
#include <flamingo/io/vocabulary.hpp>

namespace flamingo::io {

/// Joins the bytes of tokens to text; what cannot be UTF-8 becomes U+FFFD.
class TextJoiner {
 public:
  /// `whole_runs`: a run of byte tokens waits for its end, so that Broken::run can be told. Without it, each character
  /// is given as soon as it is complete.
  TextJoiner(const Decoding& rule, bool whole_runs)
      : broken_(rule.broken), leading_(rule.leading), spaces_(rule.spaces), whole_runs_(whole_runs) {}

  /// Appends to `text` the characters that a token completes.
  void push(std::string_view bytes, PieceKind kind, std::string& text) {
    if (whole_runs_ && broken_ == Decoding::Broken::run && kind == PieceKind::byte) {
      run_ += bytes;
      return;
    }
    end_run();
    // Where byte tokens are an exception, no other token completes what they began.
    if (broken_ != Decoding::Broken::sequence && kind != PieceKind::byte) take(true, text);
    add(bytes, kind);
    take(false, text);
  }
  /// The rest: an incomplete character becomes U+FFFD.
  void finish(std::string& text) {
    end_run();
    take(true, text);
  }

 private:
  /// Ends a run of byte tokens: as text where all of it is UTF-8.
  void end_run() {
    if (run_.empty()) return;
    bool valid = true;
    for (std::size_t at = 0; at < run_.size() && valid;) {
      const CodePoint point = decode_utf8(run_, at);
      valid = point.valid;
      at += point.length;
    }
    std::string bytes = std::exchange(run_, {});
    if (!valid) {
      std::string replacements;
      for (std::size_t i = 0; i < bytes.size(); ++i) append_utf8(replacements, 0xfffd);
      bytes = std::move(replacements);
    }
    add(bytes, PieceKind::byte);
  }

  void add(std::string_view bytes, PieceKind kind) {
    std::string piece(bytes);
    const bool may_lose = kind == PieceKind::text && piece.starts_with(' ');
    switch (leading_) {
      case Decoding::Leading::kept:
        break;
      case Decoding::Leading::spaces:
        while (!begun_ && spaces_ > 0 && piece.starts_with(' ')) {
          piece.erase(0, 1);
          --spaces_;
        }
        begun_ = begun_ || spaces_ == 0 || !piece.empty();
        break;
      case Decoding::Leading::first_piece:
      case Decoding::Leading::each_piece: {
        const bool loses = !begun_ && may_lose;
        if (loses) piece.erase(0, 1);
        begun_ = begun_ || !piece.empty() || (loses && leading_ == Decoding::Leading::first_piece);
        break;
      }
      case Decoding::Leading::first_token:
        if (!begun_) std::erase(piece, ' ');
        begun_ = true;
    }
    pending_ += piece;
  }

  void take(bool all, std::string& text) {
    std::size_t at = 0;
    while (at < pending_.size()) {
      const CodePoint point = decode_utf8(pending_, at);
      if (point.incomplete && !all) break;
      if (point.valid)
        text.append(pending_, at, point.length);
      else
        append_utf8(text, 0xfffd);
      at += point.valid || broken_ != Decoding::Broken::sequence ? point.length : ill_formed_length(pending_, at);
    }
    pending_.erase(0, at);
  }

  std::string pending_, run_;
  Decoding::Broken broken_;
  Decoding::Leading leading_;
  int spaces_;
  bool whole_runs_, begun_ = false;
};

}  // namespace flamingo::io
