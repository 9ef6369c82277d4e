#include <catch2/catch.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/idefics_prompt.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/media.hpp>

#include "support/golden.hpp"

namespace idefics_prompt_test {

using namespace flamingo;

TEST_CASE("a prompt is written as IdeficsProcessor writes it", "[idefics_prompt]") {
  const Document chat = Document{}
                            .text("User: What is here?")
                            .image("a.png")
                            .text(" Describe it. ")
                            .text("\nAssistant:")
                            .image("b.png")
                            .image("c.png")
                            .text("  ");
  CHECK(idefics_prompt(chat) ==
        "<s>User: What is here?<fake_token_around_image><image><fake_token_around_image>Describe it.\nAssistant:"
        "<fake_token_around_image><image><fake_token_around_image><image><fake_token_around_image>");
  CHECK(idefics_prompt(chat, {.end_utterances = true, .end = true}) ==
        "<s>User: What is here?<fake_token_around_image><image><fake_token_around_image>Describe it.<end_of_utterance>"
        "\nAssistant:<fake_token_around_image><image><fake_token_around_image><image><fake_token_around_image></s>");
  CHECK(idefics_prompt(Document{}) == "<s>");
  CHECK_THROWS_WITH(idefics_prompt(Document{}.video({"f.png"})), Catch::Contains("the document has a video"));
}

TEST_CASE("tokens and the images that they see are IdeficsProcessor's", "[idefics_prompt]") {
  const io::Tokenizer tokenizer = io::Tokenizer::from_folder(test::golden_path("tokenizers/hf_llama"));
  for (const std::string side : {"left", "right"}) {
    CAPTURE(side);
    const io::Safetensors file(test::golden_path("idefics_processor_" + side + ".safetensors"));
    const io::Json config = test::metadata(file, "config");
    const auto ids = test::numbers<int>(file.at("out.input_ids"));
    const auto mask = test::numbers<int>(file.at("out.image_attention_mask"));
    const auto padding = test::numbers<int>(file.at("out.attention_mask"));
    const auto& shape = file.at("out.image_attention_mask").shape;
    const auto tokens = static_cast<std::size_t>(shape[1]), images = static_cast<std::size_t>(shape[2]);
    const auto& prompts = config.at("prompts").as_array();
    REQUIRE(prompts.size() == static_cast<std::size_t>(shape[0]));
    for (std::size_t row = 0; row < prompts.size(); ++row) {
      Document document;
      for (const io::Json& part : prompts[row].as_array()) {
        const std::string& text = part.as_string();
        text.starts_with('@') ? document.image(text.substr(1)) : document.text(text);
      }
      const Sequence s = idefics_sequence(document, tokenizer, {.end_utterances = true});
      int closed = -1;
      const auto phi = seen_phi({.end_of_document = 2}, s.ids, s.phi, closed);
      std::size_t at = 0;
      for (std::size_t t = row * tokens; t < (row + 1) * tokens; ++t) {
        if (padding[t] == 0) continue;
        REQUIRE(at < s.ids.size());
        CHECK(s.ids[at] == ids[t]);
        for (std::size_t m = 0; m < images; ++m)
          CHECK((phi[at] == static_cast<int>(m) + 1) == (mask[t * images + m] == 1));
        ++at;
      }
      CHECK(at == s.ids.size());
      CHECK(s.media == static_cast<int>(document.media().size()));
      CHECK(s.targets == std::vector<int>(at, -1));
    }
  }
  CHECK_THROWS_WITH(idefics_sequence(Document{}.text("see <image>"), tokenizer),
                    Catch::Contains("the prompt has 1 image tokens and the document 0 images"));
  IdeficsPrompt other;
  other.tags.image = "<picture>";
  CHECK_THROWS_WITH(idefics_sequence(Document{}.image("a"), tokenizer, other),
                    Catch::Contains("the tokenizer has no token <picture>"));
}

}  // namespace idefics_prompt_test
