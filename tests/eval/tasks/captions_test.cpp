#include <flamingo/eval/tasks/captions.hpp>

#include <catch2/catch.hpp>

#include "made_up.hpp"

namespace captions_test {

using namespace flamingo;
using namespace flamingo::test;

Json karpathy(bool coco) {
  constexpr const char* splits[] = {"train", "restval", "val", "test"};
  const Json images = list_of(made_up, [&](int i) {
    const Json sentences = list_of(5, [&](int s) {
      return Json::Object{
          {"tokens", Json::Array{"a", "dog"}}, {"raw", odd_text(10 * i + s)}, {"imgid", i}, {"sentid", 5 * i + s}};
    });
    Json::Object image{{"sentids", Json::Array{1, 2}},
                       {"imgid", i},
                       {"sentences", sentences},
                       {"split", splits[i % 4]},
                       {"filename", (coco ? "COCO_val2014_" : "") + number(1000 + i) + ".jpg"}};
    if (coco) {
      image.push_back({"filepath", i % 2 ? "train2014" : "val2014"});
      image.push_back({"cocoid", 700 + i});
    }
    return Json(std::move(image));
  });
  return Json::Object{{"images", images}, {"dataset", coco ? "coco" : "flickr30k"}};
}

TEST_CASE("Karpathy's splits of COCO and Flickr30k are read", "[eval][tasks]") {
  const TemporaryFolder folder;
  for (const bool coco : {true, false}) {
    const auto items = karpathy_items(folder.write("d.json", karpathy(coco).dump()), "/data");
    REQUIRE(items.size() == made_up);
    for (int i = 0; i < made_up; ++i) {
      const TaskItem& item = items[static_cast<std::size_t>(i)];
      CHECK(item.id == number(coco ? 700 + i : 1000 + i));
      REQUIRE(item.media.size() == 1);
      CHECK(item.media[0] ==
            TaskMedium{coco ? (i % 2 ? "/data/train2014/COCO_val2014_" : "/data/val2014/COCO_val2014_") +
                                  number(1000 + i) + ".jpg"
                            : "/data/" + number(1000 + i) + ".jpg"});
      REQUIRE(item.answers.size() == 5);
      CHECK(item.answers[3] == odd_text(10 * i + 3));
      CHECK(item.split == (i % 4 < 2 ? "train" : i % 4 == 2 ? "val" : "test"));
    }
    std::vector<Prediction> predictions;
    for (const TaskItem& item : of_split(items, "test")) predictions.push_back({item.id, item.answers[0]});
    write_captions(folder.path() / "r.json", predictions);
    const Json result = parsed(folder.path() / "r.json");
    REQUIRE(result.as_array().size() == 13);
    CHECK(result.as_array()[0] == Json(Json::Object{{"image_id", coco ? 703 : 1003}, {"caption", odd_text(30)}}));
  }
}

TEST_CASE("an image without sentences or with other types is refused", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto read = [&](const char* text) {
    return error_of([&] { karpathy_items(folder.write("x.json", text), "/"); });
  };
  CHECK(read(R"({"images": [{"filename": "a.jpg", "split": "test"}]})")
            .ends_with("x.json: images[0]: found no member 'sentences', expected one"));
  CHECK(read(R"({"images": [{"filename": "a.jpg", "split": 1, "sentences": []}]})")
            .ends_with("images[0].split: found an integer, expected a string"));
  CHECK(read(R"({"images": [{"filename": "a.jpg", "sentences": [{"raw": null}]}]})")
            .ends_with("images[0].sentences[0].raw: found null, expected a string"));
}

TEST_CASE("VATEX is read and its results written", "[eval][tasks]") {
  const TemporaryFolder folder;
  const Json file = list_of(made_up, [](int i) {
    Json::Object video{{"videoID", "Ptf_" + number(i) + "_000122_000132"}};
    if (i % 10) {
      video.push_back({"enCap", list_of(10, [&](int s) { return Json(odd_text(i + s)); })});
      video.push_back({"chCap", list_of(10, [&](int) { return Json("一个人"); })});
    }
    return Json(std::move(video));
  });
  const auto items = vatex_items(folder.write("v.json", file.dump()), "/v", "validation");
  REQUIRE(items.size() == made_up);
  CHECK(items[7].id == "Ptf_7_000122_000132");
  CHECK(items[7].media[0] == TaskMedium{"/v/Ptf_7_000122_000132.mp4", true});
  CHECK(items[7].answers.size() == 10);
  CHECK(items[7].answers[9] == odd_text(16));
  CHECK(items[10].answers.empty());
  CHECK(items[52].split == "validation");
  std::vector<Prediction> predictions;
  for (const TaskItem& item : items) predictions.push_back({item.id, "a " + item.id});
  write_vatex(folder.path() / "r.json", predictions);
  const Json result = parsed(folder.path() / "r.json");
  CHECK(result.as_object().size() == made_up);
  CHECK(result.at("Ptf_52_000122_000132").as_string() == "a Ptf_52_000122_000132");
}

TEST_CASE("YouCook2's segments are read with their times, and results grouped by video", "[eval][tasks]") {
  const TemporaryFolder folder;
  Json::Object videos;
  for (int v = 0; v < 9; ++v)
    videos.push_back({"xHr8X2Wpmn" + number(v), Json::Object{{"duration", 311.77},
                                                             {"subset", v % 3 ? "training" : "validation"},
                                                             {"recipe_type", "113"},
                                                             {"video_url", "https://example.org/x"},
                                                             {"annotations", list_of(6, [&](int s) {
                                                                return Json::Object{
                                                                    {"segment", Json::Array{10 * s, 10 * s + 7.5}},
                                                                    {"id", s},
                                                                    {"sentence", odd_text(10 * v + s)}};
                                                              })}}});
  const auto items =
      youcook2_items(folder.write("y.json", Json(Json::Object{{"database", std::move(videos)}}).dump()), "/y");
  REQUIRE(items.size() == 54);
  CHECK(items[13].id == "xHr8X2Wpmn2/1");
  CHECK(items[13].media[0] == TaskMedium{"/y/xHr8X2Wpmn2.mp4", true, 10, 17.5});
  CHECK(items[13].answers == std::vector<std::string>{odd_text(21)});
  CHECK(items[13].split == "training");
  CHECK(items[18].split == "validation");
  std::vector<Prediction> predictions;
  for (const TaskItem& item : items) predictions.push_back({item.id, "cut"});
  write_youcook2(folder.path() / "r.json", items, predictions);
  const Json result = parsed(folder.path() / "r.json");
  const Json& of_video = result.at("results").at("xHr8X2Wpmn2");
  REQUIRE(of_video.as_array().size() == 6);
  CHECK(of_video.as_array()[1].at("timestamp").as_array()[1].as_double() == 17.5);
  CHECK(of_video.as_array()[1].at("sentence").as_string() == "cut");
  const auto bad = folder.write(
      "b.json",
      R"({"database": {"v": {"subset": "training", "annotations": [{"id": 0, "segment": [5, 4], "sentence": ""}]}}})");
  CHECK(error_of([&] {
          youcook2_items(bad, "/");
        }).ends_with("top.database.v.annotations[0].segment: expected [start, end] in seconds"));
}

}  // namespace captions_test
