/// What the server knows of a model: chats and pictures in, tokens out, and where it looked. No type of the model is
/// seen here, so the server is compiled once, whatever it serves.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "line.hpp"

#include <flamingo/infer/attention_map.hpp>
#include <flamingo/model/media.hpp>

namespace studio {

/// A piece of what is asked: a text, or the bytes of a picture's file.
struct Part {
  bool picture = false;
  std::string content;
  std::string place;  ///< where it stood in the request, for errors
};
struct Turn {
  std::string role;  ///< system, user or assistant
  std::vector<Part> parts;
};
using Chat = std::vector<Turn>;

/// A picture as the model's encoder sees it.
struct Sight {
  std::vector<float> rows;  ///< (count, width)
  int count = 0;
  int visible = 0;  ///< rows of the medium that a text may see; 0: all
};

/// A chat as the model reads it.
struct Prompt {
  flamingo::Sequence sequence;
  std::vector<int> stop, banned;
  std::vector<std::shared_ptr<const Sight>> sights;  ///< of its pictures, in their order
};

/// How an answer is written.
struct Sampling {
  int max_tokens = 0;
  float temperature = 0, top_p = 1, repetition_penalty = 1;
  int top_k = 0;
  std::uint64_t seed = 0;
  std::vector<std::string> stops{};
  int alternatives = 0;  ///< so many likeliest tokens are told with each one
};

/// How a picture of any shape fills the encoder's square.
enum class Fit { pad, stretch, crop };

struct About {
  std::string name;         ///< the id of the OpenAI interface
  std::string description;  ///< one line for people
  std::string advice;       ///< what to ask of it
  int context = 0, vocabulary = 0;
  int grid_width = 0, grid_height = 0;  ///< cells of a picture's features
  int before_cells = 0;                 ///< rows of them that are no cell: CLIP's class
  int gated_blocks = 0, heads = 0;
  Fit fit = Fit::pad;
  bool looks = false;  ///< look() can tell where it looked
  int default_tokens = 16;
};

/// A loaded model at work for many at a time. All functions may be called from any thread.
class Writer {
 public:
  using Id = std::uint64_t;
  virtual ~Writer() = default;

  virtual const About& about() const = 0;
  /// The picture of a file's bytes through the encoder; once for each content. Throws Error for what is no picture or
  /// too large; `name` says whose it is.
  virtual std::shared_ptr<const Sight> see(std::string_view file, std::string_view name) = 0;
  /// Tokens of a chat, without the sights. Throws Error where the context is too short.
  virtual Prompt prompt(const Chat& chat) const = 0;
  /// Writes after a prompt, and tells `line` of it. Throws Error where the sampling makes no sense.
  virtual Id write(const Prompt& prompt, const Sampling& sampling, std::shared_ptr<Line> line) = 0;
  virtual void cancel(Id id) = 0;
  /// Where each token that was written after the prompt looked, its end included. Throws Error where that is too much
  /// to keep.
  virtual flamingo::AttentionMaps look(const Prompt& prompt, std::span<const int> written) = 0;
  /// The text of a token: bytes, perhaps a part of a character.
  virtual std::string_view bytes(int id) const = 0;
};

}  // namespace studio
