#include <catch2/catch.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/idefics_prompt.hpp>
#include <flamingo/io/safetensors.hpp>

#include "support/golden.hpp"

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

TEST_CASE("tokens see the last image, and none after the end of a document", "[idefics_prompt]") {
  // 7 is the image, 2 the end.
  const std::vector<int> ids{1, 7, 4, 7, 4, 2, 5, 7, 2, 7};
  CHECK(idefics_phi(ids, 7, 2, 4) == std::vector<int>{0, 1, 1, 2, 2, 2, 0, 3, 3, 4});
  CHECK(idefics_phi(ids, 7, 2, 2) == std::vector<int>{0, 1, 1, 2, 2, 2, 0, 0, 0, 0});
  CHECK(idefics_phi(std::vector<int>{1, 2, 3}, 7, 2, 1) == std::vector<int>{0, 0, 0});
}

TEST_CASE("tokens see the images that IdeficsProcessor's mask shows them", "[idefics_prompt]") {
  for (const char* side : {"left", "right"}) {
    CAPTURE(side);
    const io::Safetensors file(test::golden_path("idefics_processor_" + std::string(side) + ".safetensors"));
    const auto ids = test::numbers<int>(file.at("out.input_ids")),
               mask = test::numbers<int>(file.at("out.image_attention_mask"));
    const auto& shape = file.at("out.image_attention_mask").shape;
    const auto rows = static_cast<std::size_t>(shape[0]), tokens = static_cast<std::size_t>(shape[1]),
               images = static_cast<std::size_t>(shape[2]);
    REQUIRE(images == 3);
    for (std::size_t row = 0; row < rows; ++row) {
      const auto phi = idefics_phi(std::span(ids).subspan(row * tokens, tokens), 1501, 2, static_cast<int>(images));
      for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t m = 0; m < images; ++m)
          CHECK((phi[t] == static_cast<int>(m) + 1) == (mask[(row * tokens + t) * images + m] == 1));
    }
  }
}
