#include <flamingo/eval/tasks/json_lines.hpp>

#include <catch2/catch.hpp>

#include "made_up.hpp"

namespace json_lines_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("a task of one's own has every part of an item", "[eval][tasks]") {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < made_up; ++i)
    lines += Json(Json::Object{{"id", i},
                               {"media", Json::Array{"a" + number(i) + ".jpg", Json::Object{{"image", "b.png"}},
                                                     Json::Object{{"video", "c.mp4"}, {"start", 1.5}, {"end", 3}}}},
                               {"question", odd_text(i)},
                               {"fields", Json::Object{{"text", "hello"}}},
                               {"history", Json::Array{Json::Object{{"question", "q"}, {"answer", "a"}}}},
                               {"answers", Json::Array{"x", "y"}},
                               {"candidates", Json::Array{"x", "z"}},
                               {"label", i % 2},
                               {"relevance", Json::Array{0, 0.5}},
                               {"split", "test"},
                               {"type", "t"}})
                 .dump() +
             "\n";
  const auto items = json_lines_items(folder.write("own.jsonl", lines), "/own");
  REQUIRE(items.size() == made_up);
  CHECK(items[3] == TaskItem{.id = "3",
                             .media = {{"/own/a3.jpg"}, {"/own/b.png"}, {"/own/c.mp4", true, 1.5, 3}},
                             .question = odd_text(3),
                             .fields = {{"text", "hello"}},
                             .history = {{"q", "a"}},
                             .answers = {"x", "y"},
                             .candidates = {"x", "z"},
                             .label = 1,
                             .relevance = {0, 0.5},
                             .split = "test",
                             .type = "t"});
  const auto least = json_lines_items(folder.write("least.jsonl", R"({"id": "a", "media": []})"), "/");
  CHECK(least[0] == TaskItem{.id = "a"});
  write_json_lines(folder.path() / "r.jsonl", std::vector<Prediction>{{"a", odd_text(5)}, {"b", "", {1, 0.5}}});
  CHECK(tests::read_bytes(folder.path() / "r.jsonl") ==
        "{\"id\":\"a\",\"text\":\"text 5\\nline\"}\n{\"id\":\"b\",\"scores\":[1.0,0.5]}\n");
}

TEST_CASE("wrong lines are refused with their number", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& line) {
    return error_of([&] { json_lines_items(folder.write("x.jsonl", "{\"id\": 1, \"media\": []}\n" + line), "/"); });
  };
  CHECK(read(R"({"id": 1, "media": []})").ends_with("line 2: the id 1 is there twice"));
  CHECK(read(R"({"id": 2, "media": [], "anwsers": []})")
            .ends_with("line 2: found the member 'anwsers', which an item does not have"));
  CHECK(
      read(R"({"id": 2, "media": [], "candidates": ["a"], "label": 1})").ends_with("label: found 1, expected 0 to 0"));
  CHECK(read(R"({"id": 2, "media": [{"video": "v", "start": 2, "end": 1}]})").ends_with("found the times 2 to 1"));
  CHECK(read(R"({"id": 2, "media": [], "relevance": [1]})")
            .ends_with("found 1 numbers, expected one for each of 0 candidates"));
  CHECK(read(R"({"media": []})").ends_with("line 2: found no member 'id', expected one"));
}

}  // namespace json_lines_test
