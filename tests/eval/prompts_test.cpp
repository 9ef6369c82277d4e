#include <flamingo/eval/prompts.hpp>

#include <catch2/catch.hpp>

namespace prompts_test {

using namespace flamingo;

/// Prompts of two demonstrations and a query, with pictures and as text alone.
struct Both {
  std::string shots, zero;
};
Both prompts(const PromptSet& set, TaskKind kind, std::vector<TaskItem> items) {
  for (std::size_t i = 0; i < items.size(); ++i) items[i].media = {{std::to_string(i) + ".jpg"}};
  const TaskItem* const shots[] = {&items[0], &items[1]};
  const std::vector<std::string> candidates{"no", "yes"};
  const Prompt with = few_shot_prompt(set, kind, shots, items[2], PromptMedia::all, candidates);
  CHECK(with.media == std::vector<TaskMedium>{{"0.jpg"}, {"1.jpg"}, {"2.jpg"}});
  const Prompt zero = few_shot_prompt(set, kind, shots, items[2], PromptMedia::query_only, candidates);
  CHECK(zero.media == std::vector<TaskMedium>{{"2.jpg"}});
  const Prompt none = few_shot_prompt(set, kind, shots, items[2], PromptMedia::none, candidates);
  CHECK(none.media.empty());
  CHECK(none.text.find(set.image) == std::string::npos);
  return {with.text, zero.text};
}

TEST_CASE("OpenFlamingo's prompts have the bytes that its own code makes", "[eval][prompts]") {
  const PromptSet set = open_flamingo_prompts();
  const Both caption = prompts(set, TaskKind::caption,
                               {{.id = "0", .answers = {"  A dog's \"ball\" {x}.\n", "other"}},
                                {.id = "1", .answers = {"Ünï, cat"}},
                                {.id = "2"}});
  CHECK(caption.shots ==
        "<image>Output:A dog's \"ball\" {x}.<|endofchunk|>\n<image>Output:Ünï, cat<|endofchunk|>\n"
        "<image>Output:");
  CHECK(caption.zero == "Output:A dog's \"ball\" {x}.<|endofchunk|>\nOutput:Ünï, cat<|endofchunk|>\n<image>Output:");
  const Both question = prompts(set, TaskKind::question,
                                {{.id = "0", .question = "What is {this}?", .answers = {"net", "nets"}},
                                 {.id = "1", .question = "Is it red, or  blue? ", .answers = {" a red "}},
                                 {.id = "2", .question = "Why?"}});
  CHECK(question.shots ==
        "<image>Question:What is {this}? Short answer:net<|endofchunk|>\n"
        "<image>Question:Is it red, or  blue?  Short answer: a red <|endofchunk|>\n<image>Question:Why? Short answer:");
  CHECK(question.zero ==
        "Question:What is {this}? Short answer:net<|endofchunk|>\n"
        "Question:Is it red, or  blue?  Short answer: a red <|endofchunk|>\n<image>Question:Why? Short answer:");
  const Both classes =
      prompts(set, TaskKind::classification,
              {{.id = "0", .answers = {"tench"}}, {.id = "1", .answers = {"great white shark"}}, {.id = "2"}});
  CHECK(classes.shots ==
        "<image>Output:tench<|endofchunk|><image>Output:great white shark<|endofchunk|><image>Output:");
  CHECK(classes.zero == "Output:tench<|endofchunk|>Output:great white shark<|endofchunk|><image>Output:");
  const Both meme = prompts(set, TaskKind::meme,
                            {{.id = "0", .fields = {{"text", "it's me"}}, .label = 0},
                             {.id = "1", .fields = {{"text", "say \"hi\"\n{answer}"}}, .label = 1},
                             {.id = "2", .fields = {{"text", "last"}}, .label = 1}});
  CHECK(meme.shots ==
        "<image>is an image with: 'it's me' written on it. Is it hateful? Answer:no<|endofchunk|>"
        "<image>is an image with: 'say \"hi\"\n{answer}' written on it. Is it hateful? Answer:yes<|endofchunk|>"
        "<image>is an image with: 'last' written on it. Is it hateful? Answer:");
  CHECK(meme.zero ==
        "is an image with: 'it's me' written on it. Is it hateful? Answer:no<|endofchunk|>"
        "is an image with: 'say \"hi\"\n{answer}' written on it. Is it hateful? Answer:yes<|endofchunk|>"
        "<image>is an image with: 'last' written on it. Is it hateful? Answer:");
}

TEST_CASE("the paper's prompts are those of its figure", "[eval][prompts]") {
  const PromptSet set = paper_prompts();
  const Both caption =
      prompts(set, TaskKind::caption,
              {{.id = "0", .answers = {"A cat wearing sunglasses."}}, {.id = "1", .answers = {"Two."}}, {.id = "2"}});
  CHECK(caption.shots == "<BOS><image>Output: A cat wearing sunglasses.<EOC><image>Output: Two.<EOC><image>Output:");
  CHECK(caption.zero == "<BOS>Output: A cat wearing sunglasses.<EOC>Output: Two.<EOC><image>Output:");
  const TaskItem question{.id = "q", .media = {{"a"}, {"b"}}, .question = "Who?"};
  CHECK(few_shot_prompt(set, TaskKind::question, {}, question).text == "<BOS><image><image>Question: Who? Answer:");
  const TaskItem meme{.id = "m", .media = {{"a"}}, .fields = {{"text", "hi"}}};
  CHECK(few_shot_prompt(set, TaskKind::meme, {}, meme).text ==
        "<BOS><image>is an image with written: \"hi\" on it. Is it hateful? Answer:");
  const TaskItem dialogue{.id = "d",
                          .media = {{"a"}},
                          .question = "What colour?",
                          .fields = {{"caption", "A cat."}},
                          .history = {{"Is it big?", "no"}, {"Asleep?", "yes"}}};
  CHECK(few_shot_prompt(set, TaskKind::dialogue, {}, dialogue).text ==
        "<BOS><image>A cat. Question: Is it big? Answer: no Question: Asleep? Answer: yes Question: What colour? "
        "Answer:");
  CHECK_THROWS_WITH(few_shot_prompt(set, TaskKind::meme, {}, question), "[task] item q has no field 'text'");
}

TEST_CASE("answers are cut where a prompt would go on", "[eval][prompts]") {
  const PromptSet of = open_flamingo_prompts(), paper = paper_prompts();
  CHECK(trimmed_answer(of.question, "red Question: what") == "red ");
  CHECK(trimmed_answer(of.question, "two, three") == "two");
  CHECK(trimmed_answer(of.question, "a,b") == "a,b");
  CHECK(trimmed_answer(of.question, "Short") == "");
  CHECK(trimmed_answer(of.caption, "a \"big\" dog Output: x") == "a big dog ");
  CHECK(trimmed_answer(paper.caption, "a dog, a cat. Output: x") == "a dog, a cat. ");
  CHECK(trimmed_answer(paper.question, "yes Question: no") == "yes ");
}

TEST_CASE("RareAct's actions become sentences", "[eval][prompts]") {
  CHECK(rare_act_sentence("cut", "laptop") == "a person cuts a laptop");
  CHECK(rare_act_sentence("wash", "apple") == "a person washes an apple");
  CHECK(rare_act_sentence("fry", "egg") == "a person fries an egg");
  CHECK(rare_act_sentence("spray", "phone") == "a person sprays a phone");
  CHECK(rare_act_sentence("blow up", "mixer") == "a person blows up a mixer");
  CHECK_THROWS_WITH(rare_act_sentence("", "x"), Catch::Contains("an action has the verb ''"));
}

TEST_CASE("a demonstration needs an answer, a set a name", "[eval][prompts]") {
  CHECK_THROWS_WITH(shown_answer(TaskKind::question, {.id = "7"}),
                    "[prompts] item 7 has no answer: it cannot be a demonstration");
  const std::vector<std::string> task{"no", "yes"};
  CHECK(shown_answer(TaskKind::question, {.id = "7", .candidates = {"a", "b"}, .label = 1}, task) == "b");
  CHECK(shown_answer(TaskKind::meme, {.id = "7", .label = 1}, task) == "yes");
  CHECK(prompts_named("paper").name == "paper");
  CHECK(prompts_named("open_flamingo").name == "open_flamingo");
  CHECK_THROWS_WITH(prompts_named("other"),
                    "[prompts] there is no set 'other', expected paper, open_flamingo or idefics");
}

TEST_CASE("a page puts tags where its pictures stand", "[eval][prompts]") {
  const TaskItem page{.id = "p",
                      .media = {{"a"}, {"b"}, {"c"}},
                      .fields = {{"page", "See <image> and <image><image> {answer}:"}},
                      .answers = {" this"}};
  PromptSet set = paper_prompts();
  const TaskItem* const shots[] = {&page};
  CHECK(few_shot_prompt(set, TaskKind::page, shots, page).text ==
        "<BOS>See <image> and <image><image> {answer}:  this<EOC>See <image> and <image><image> {answer}:");
  CHECK(few_shot_prompt(set, TaskKind::page, shots, page).media.size() == 6);
  CHECK(few_shot_prompt(set, TaskKind::page, {}, page, PromptMedia::none).text == "<BOS>See  and  {answer}:");
  // Idefics: a tag on each side, one between neighbours.
  set = prompts_named("idefics");
  CHECK(few_shot_prompt(set, TaskKind::page, {}, page).text ==
        "<s>See <fake_token_around_image><image><fake_token_around_image> and <fake_token_around_image><image>"
        "<fake_token_around_image><image><fake_token_around_image> {answer}:");
  const TaskItem question{.id = "q", .media = {{"a"}, {"b"}}, .question = "Who?"};
  CHECK(few_shot_prompt(set, TaskKind::question, {}, question).text ==
        "<s><fake_token_around_image><image><fake_token_around_image><image><fake_token_around_image>Question: Who? "
        "Answer:");
}

}  // namespace prompts_test
