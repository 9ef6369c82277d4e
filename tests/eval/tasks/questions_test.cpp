#include <flamingo/eval/tasks/questions.hpp>

#include <catch2/catch.hpp>

#include "made_up.hpp"

namespace questions_test {

using namespace flamingo;
using namespace flamingo::test;

/// Annotations in another order than questions, as nothing promises the same one.
struct Vqa {
  Json questions = Json::Object{
      {"info", Json::Object{{"year", 2017}}},
      {"task_type", "Open-Ended"},
      {"data_type", "mscoco"},
      {"license", Json::Object{{"name", "CC"}}},
      {"data_subtype", "val2014"},
      {"questions", list_of(made_up, [](int i) {
         return Json::Object{{"image_id", 262148 + i}, {"question", odd_text(i)}, {"question_id", 262148000 + i}};
       })}};
  Json annotations = Json::Object{
      {"info", Json::Object{{"year", 2017}}},
      {"license", Json::Object{}},
      {"data_subtype", "val2014"},
      {"annotations", list_of(made_up, [](int n) {
         const int i = made_up - 1 - n;
         return Json::Object{{"question_type", "what is this"},
                             {"multiple_choice_answer", "net"},
                             {"answers", list_of(10,
                                                 [&](int a) {
                                                   return Json::Object{{"answer", "answer " + number(i % (a + 1))},
                                                                       {"raw_answer", "raw"},
                                                                       {"answer_confidence", "maybe"},
                                                                       {"answer_id", a + 1}};
                                                 })},
                             {"image_id", 262148 + i},
                             {"answer_type", i % 2 ? "other" : "yes/no"},
                             {"question_id", 262148000 + i}};
       })}};
};

TEST_CASE("questions of VQAv2 and OK-VQA find their annotations by id", "[eval][tasks]") {
  const TemporaryFolder folder;
  const Vqa vqa;
  const auto questions = folder.write("q.json", vqa.questions.dump());
  const auto annotations = folder.write("a.json", vqa.annotations.dump());
  const auto items = vqa_items(questions, annotations, "/val2014", "val2014");
  REQUIRE(items.size() == made_up);
  for (int i = 0; i < made_up; ++i) {
    const TaskItem& item = items[static_cast<std::size_t>(i)];
    CHECK(item.id == number(262148000 + i));
    CHECK(item.media == std::vector{TaskMedium{"/val2014/COCO_val2014_000000" + number(262148 + i) + ".jpg"}});
    CHECK(item.question == odd_text(i));
    REQUIRE(item.answers.size() == 10);
    CHECK(item.answers[6] == "answer " + number(i % 7));
    CHECK(item.type == (i % 2 ? "other" : "yes/no"));
    CHECK(item.split == "val2014");
  }
  const auto test = vqa_items(questions, {}, "/test2015", "test2015");
  CHECK(test[9].answers.empty());
  CHECK(test[9].media[0].path == "/test2015/COCO_test2015_000000262157.jpg");
  std::vector<Prediction> predictions;
  for (const TaskItem& item : items) predictions.push_back({item.id, item.answers[0]});
  write_answers(folder.path() / "r.json", predictions);
  const Json result = parsed(folder.path() / "r.json");
  REQUIRE(result.as_array().size() == made_up);
  CHECK(result.as_array()[3] == Json(Json::Object{{"question_id", 262148003}, {"answer", "answer 0"}}));
}

TEST_CASE("questions without annotation, and annotated twice, are refused", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto questions =
      folder.write("q.json", R"({"questions": [{"question_id": 1, "image_id": 2, "question": "?"}]})");
  const auto none = folder.write("n.json", R"({"annotations": []})");
  CHECK(error_of([&] {
          vqa_items(questions, none, "/", "val2014");
        }).ends_with("n.json has no annotation of question 1"));
  const auto twice = folder.write(
      "t.json", R"({"annotations": [{"question_id": 1, "answers": []}, {"question_id": 1, "answers": []}]})");
  CHECK(error_of([&] {
          vqa_items(questions, twice, "/", "val2014");
        }).ends_with("annotations[1]: question 1 is there twice"));
}

TEST_CASE("TextVQA is read", "[eval][tasks]") {
  const TemporaryFolder folder;
  const Json file =
      Json::Object{{"dataset_type", "val"},
                   {"dataset_name", "textvqa"},
                   {"dataset_version", "0.5.1"},
                   {"data", list_of(made_up, [](int i) {
                      Json::Object question{{"question", odd_text(i)},
                                            {"image_id", "0054c91397f2fe" + number(10 + i)},
                                            {"image_classes", Json::Array{"Poster"}},
                                            {"flickr_original_url", "https://x/o.jpg"},
                                            {"flickr_300k_url", "https://x/z.jpg"},
                                            {"image_width", 1024},
                                            {"image_height", 730},
                                            {"question_tokens", Json::Array{"what"}},
                                            {"question_id", 34602 + i},
                                            {"set_name", i % 2 ? "val" : "test"}};
                      if (i % 2)
                        question.push_back({"answers", list_of(10, [&](int a) { return Json("a" + number(a)); })});
                      return Json(std::move(question));
                    })}};
  const auto items = text_vqa_items(folder.write("t.json", file.dump()), "/train_images");
  REQUIRE(items.size() == made_up);
  CHECK(items[5].id == "34607");
  CHECK(items[5].media[0] == TaskMedium{"/train_images/0054c91397f2fe15.jpg"});
  CHECK(items[5].question == odd_text(5));
  CHECK(items[5].answers.size() == 10);
  CHECK(items[6].answers.empty());
  CHECK(of_split(items, "val").size() == 26);
}

TEST_CASE("VizWiz is read, and its results name pictures", "[eval][tasks]") {
  const TemporaryFolder folder;
  const Json file = list_of(made_up, [](int i) {
    return Json::Object{{"answerable", i % 2},
                        {"image", "VizWiz_val_000000" + number(10 + i) + ".jpg"},
                        {"question", odd_text(i)},
                        {"answer_type", i % 3 ? "other" : "unanswerable"},
                        {"answers", list_of(10, [&](int a) {
                           return Json::Object{{"answer_confidence", "yes"}, {"answer", "unanswerable " + number(a)}};
                         })}};
  });
  const auto items = vizwiz_items(folder.write("val.json", file.dump()), "/val");
  REQUIRE(items.size() == made_up);
  CHECK(items[4].id == "VizWiz_val_00000014.jpg");
  CHECK(items[4].media[0] == TaskMedium{"/val/VizWiz_val_00000014.jpg"});
  CHECK(items[4].question == odd_text(4));
  CHECK(items[4].answers[9] == "unanswerable 9");
  CHECK(items[4].type == "other");
  CHECK(items[4].split == "val");
  const auto test =
      folder.write("test.json", R"([{"image": "VizWiz_test_00000000.jpg", "question": "What is this?"}])");
  CHECK(vizwiz_items(test, "/test")[0].answers.empty());
  std::vector<Prediction> predictions;
  for (const TaskItem& item : items) predictions.push_back({item.id, "dog"});
  write_vizwiz(folder.path() / "r.json", predictions);
  const Json written = parsed(folder.path() / "r.json");
  CHECK(written.as_array()[4] == Json(Json::Object{{"image", "VizWiz_val_00000014.jpg"}, {"answer", "dog"}}));
}

}  // namespace questions_test
