#include <flamingo/eval/tasks/visdial.hpp>

#include <catch2/catch.hpp>

#include "made_up.hpp"

namespace visdial_test {

using namespace flamingo;
using namespace flamingo::test;

constexpr int rounds = 10, options = 100, dialogs = 6;

Json made_up_dialogs() {
  return Json::Object{
      {"version", "1.0"},
      {"split", "val"},
      {"data", Json::Object{{"questions", list_of(40, [](int i) { return Json("question " + number(i)); })},
                            {"answers", list_of(150, [](int i) { return Json("answer " + number(i)); })},
                            {"dialogs", list_of(dialogs, [](int d) {
                               return Json::Object{{"image_id", 185565 + d},
                                                   {"caption", odd_text(d)},
                                                   {"dialog", list_of(rounds, [&](int r) {
                                                      return Json::Object{
                                                          {"question", (7 * d + r) % 40},
                                                          {"answer", (11 * d + r) % 150},
                                                          {"gt_index", r},
                                                          {"answer_options", list_of(options, [&](int o) {
                                                             return Json((11 * d + o) % 150);
                                                           })}};
                                                    })}};
                             })}}}};
}

TEST_CASE("rounds of dialogues come with what was said before them", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto file = folder.write("visdial_1.0_val.json", made_up_dialogs().dump());
  const auto items = visdial_items(file, {}, "/val", visdial_file_name);
  REQUIRE(items.size() == dialogs * rounds);
  const TaskItem& item = items[23];
  CHECK(item.id == "185567/4");
  CHECK(item.media[0] == TaskMedium{"/val/VisualDialog_val2018_000000185567.jpg"});
  CHECK(item.field("caption") == odd_text(2));
  CHECK(item.question == "question 17");
  REQUIRE(item.history.size() == 3);
  CHECK(item.history[2] == TaskTurn{"question 16", "answer 24"});
  REQUIRE(item.candidates.size() == options);
  CHECK(item.candidates[3] == "answer 25");
  CHECK(item.label == 3);
  CHECK(item.answers == std::vector<std::string>{"answer 25"});
  CHECK(item.relevance.empty());

  const Json dense = list_of(dialogs, [](int d) {
    return Json::Object{{"image_id", 185565 + d},
                        {"round_id", d + 1},
                        {"gt_relevance", list_of(options, [&](int o) { return Json(o % 5 == d % 5 ? 0.4 : 0.0); })}};
  });
  const auto judged = visdial_items(file, folder.write("dense.json", dense.dump()), "/val", visdial_file_name);
  REQUIRE(judged.size() == dialogs);
  CHECK(judged[3].id == "185568/4");
  CHECK(judged[3].relevance[8] == 0.4);
  CHECK(visdial_file_name("train", 42) == "COCO_train2014_000000000042.jpg");

  std::vector<Prediction> predictions{{items[23].id, "", {0.1, 0.5, 0.5, 0.9}}};
  write_visdial(folder.path() / "r.json", predictions);
  const Json result = parsed(folder.path() / "r.json");
  CHECK(result.as_array()[0] ==
        Json(Json::Object{{"image_id", 185567}, {"round_id", 4}, {"ranks", Json::Array{4, 2, 3, 1}}}));
}

TEST_CASE("what dialogues point to must be there", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto read = [&](const char* dialog) {
    const auto file =
        folder.write("x.json", std::string(R"({"split": "val", "data": {"questions": ["q"], "answers": ["a"],
        "dialogs": [{"image_id": 1, "caption": "c", "dialog": [)") +
                                   dialog + "]}]}}");
    return error_of([&] { visdial_items(file, {}, "/", visdial_file_name); });
  };
  CHECK(read(R"({"question": 1})").ends_with("dialogs[0].dialog[0].question: found 1, expected 0 to 0"));
  CHECK(read(R"({"question": 0, "answer_options": [0, 2]})").ends_with("answer_options[1]: found 2, expected 0 to 0"));
  CHECK(
      read(R"({"question": 0, "answer_options": [0], "gt_index": 1})").ends_with("gt_index: found 1, expected 0 to 0"));
}

}  // namespace visdial_test
