#include <flamingo/eval/tasks/video_questions.hpp>

#include <catch2/catch.hpp>

#include "made_up.hpp"

namespace video_questions_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("MSRVTT-QA and MSVD-QA are read, the latter by its mapping", "[eval][tasks]") {
  const TemporaryFolder folder;
  const Json file = list_of(made_up, [](int i) {
    return Json::Object{{"answer", i % 2 ? "guitar" : "man"},
                        {"category_id", 14},
                        {"id", 158581 + i},
                        {"question", odd_text(i)},
                        {"video_id", 1 + i}};
  });
  const auto path = folder.write("val_qa.json", file.dump());
  const auto items = xu_qa_items(path, "/videos", msrvtt_video_name, "val");
  REQUIRE(items.size() == made_up);
  CHECK(items[3].id == "158584");
  CHECK(items[3].media[0] == TaskMedium{"/videos/video4.mp4", true});
  CHECK(items[3].question == odd_text(3));
  CHECK(items[3].answers == std::vector<std::string>{"guitar"});

  std::string mapping;
  for (int i = 0; i < made_up; ++i) mapping += "-4wsuPCjDBc_" + number(i) + "_15 vid" + number(i + 1) + "\n";
  const MsvdNames names(folder.write("youtube_mapping.txt", mapping));
  CHECK(xu_qa_items(path, "/videos", names, "val")[3].media[0].path == "/videos/-4wsuPCjDBc_3_15.avi");
  const MsvdNames few(folder.write("few.txt", "a vid1\n"));
  CHECK(error_of([&] {
          xu_qa_items(path, "/", few, "val");
        }).ends_with("[1].video_id: found video 2, expected one of the mapping's 1"));
  CHECK(error_of([&] {
          MsvdNames(folder.write("bad.txt", "a 1\n"));
        }).ends_with("found 'a 1', expected the name of a clip and vid1, vid2, ..."));

  write_xu_qa(folder.path() / "r.json", std::vector<Prediction>{{"158584", "guitar"}});
  CHECK(parsed(folder.path() / "r.json") == Json(Json::Array{Json::Object{{"id", 158584}, {"answer", "guitar"}}}));
}

TEST_CASE("iVQA is read, with times where they are", "[eval][tasks]") {
  const TemporaryFolder folder;
  std::string timed = "video_id,start,end,question,answer1,answer2,answer3,answer4,answer5,conf1\n",
              bare = "video_id,question,answer1,answer2,answer3,answer4,answer5\n";
  for (int i = 0; i < made_up; ++i) {
    const std::string rest = csv_field(odd_text(i)) + ",spoon,spoon,\"a, b\",,pan";
    timed += "mJ" + number(i) + "," + number(i) + "," + number(i + 9) + ".5," + rest + ",1\n";
    bare += "mJ" + number(i) + "," + rest + "\n";
  }
  const auto items = ivqa_items(folder.write("test.csv", timed), "/v", "test");
  REQUIRE(items.size() == made_up);
  CHECK(items[8].id == "8");
  CHECK(items[8].media[0] == TaskMedium{"/v/mJ8.mp4", true, 8, 17.5});
  CHECK(items[8].question == odd_text(8));
  CHECK(items[8].answers == std::vector<std::string>{"spoon", "spoon", "a, b", "", "pan"});
  CHECK(ivqa_items(folder.write("bare.csv", bare), "/v", "test")[8].media[0] == TaskMedium{"/v/mJ8.mp4", true});
}

TEST_CASE("NExT-QA is read open-ended and with choices", "[eval][tasks]") {
  const TemporaryFolder folder;
  std::string open = "video,frame_count,width,height,question,answer,qid,type\n",
              choice = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n";
  Json::Object map, more;
  for (int i = 0; i < made_up; ++i) {
    const std::string video = number(3233088000 % 100000 + i),
                      front = video + ",462,640,480," + csv_field(odd_text(i)) + ",";
    open += front + "pulled it out," + number(i % 12) + ",CH\n";
    choice += front + number(i % 5) + "," + number(i % 12) + ",CW,zero,one,two,three,\"four, five\"\n";
    map.push_back({video, "1101/" + video});
    if (i % 2) more.push_back({video, Json::Object{{number(i % 12), "took it"}}});
  }
  const auto mapping = folder.write("map_vid_vidorID.json", Json(std::move(map)).dump());
  const auto others = folder.write("add_reference_answer_test.json", Json(std::move(more)).dump());
  const auto items = next_qa_items(folder.write("test.csv", open), mapping, "/v", "test", others);
  REQUIRE(items.size() == made_up);
  const std::string video = number(3233088000 % 100000 + 5);
  CHECK(items[5].id == video + "/5");
  CHECK(items[5].media[0] == TaskMedium{"/v/1101/" + video + ".mp4", true});
  CHECK(items[5].question == odd_text(5));
  CHECK(items[5].answers == std::vector<std::string>{"pulled it out", "took it"});
  CHECK(items[6].answers.size() == 1);
  CHECK(items[5].type == "CH");
  const auto closed = next_qa_items(folder.write("mc.csv", choice), {}, "/v", "val");
  CHECK(closed[9].media[0].path == "/v/" + number(3233088000 % 100000 + 9) + ".mp4");
  CHECK(closed[9].candidates == std::vector<std::string>{"zero", "one", "two", "three", "four, five"});
  CHECK(closed[9].label == 4);
  CHECK(closed[9].answers == std::vector<std::string>{"four, five"});

  std::vector<Prediction> predictions;
  for (const TaskItem& item : items) predictions.push_back({item.id, "a"});
  write_next_qa(folder.path() / "r.json", predictions);
  CHECK(parsed(folder.path() / "r.json").at(video).at("5").as_string() == "a");
  const auto other = folder.write("o.json", "{}");
  CHECK(error_of([&] { next_qa_items(folder.path() / "test.csv", other, "/", "test"); }).find("o.json has no video") !=
        std::string::npos);
}

TEST_CASE("STAR is read, and its results are numbers of choices", "[eval][tasks]") {
  const TemporaryFolder folder;
  constexpr const char* kinds[] = {"Interaction", "Sequence", "Prediction", "Feasibility"};
  const Json file = list_of(made_up, [&](int i) {
    return Json::Object{{"question_id", std::string(kinds[i % 4]) + "_T1_" + number(i)},
                        {"question", odd_text(i)},
                        {"video_id", "6H" + number(i)},
                        {"start", 11.1},
                        {"end", 19 + i},
                        {"answer", "choice " + number(i % 4)},
                        {"question_program",
                         Json::Array{Json::Object{{"function", "Input_Situation"}, {"value_input", Json::Array{}}}}},
                        {"choices", list_of(4,
                                            [](int c) {
                                              return Json::Object{{"choice_id", 3 - c},
                                                                  {"choice", "choice " + number(3 - c)},
                                                                  {"choice_program", Json::Array{}}};
                                            })},
                        {"situations", Json::Object{{"000348", Json::Object{{"rel_labels", Json::Array{}}}}}}};
  });
  const auto items = star_items(folder.write("STAR_val.json", file.dump()), "/v", "val");
  REQUIRE(items.size() == made_up);
  CHECK(items[6].id == "Prediction_T1_6");
  CHECK(items[6].media[0] == TaskMedium{"/v/6H6.mp4", true, 11.1, 25});
  CHECK(items[6].candidates[2] == "choice 2");
  CHECK(items[6].label == 2);
  CHECK(items[6].type == "Prediction");
  std::vector<Prediction> predictions;
  for (const TaskItem& item : items) predictions.push_back({item.id, "", {0, 3, 1, 2}});
  write_star(folder.path() / "r.json", predictions);
  const Json result = parsed(folder.path() / "r.json");
  CHECK(result.at("Interaction").as_array().size() == 14);
  CHECK(result.at("Prediction").as_array()[1] == Json(Json::Object{{"question_id", "Prediction_T1_6"}, {"answer", 1}}));
  const auto bad =
      folder.write("b.json", R"([{"question_id": "a_1", "question": "", "video_id": "v", "start": 0, "end": 1,
      "answer": "x", "choices": [{"choice_id": 0, "choice": "y"}]}])");
  CHECK(
      error_of([&] { star_items(bad, "/", "val"); }).ends_with("[0].answer: found 'x', expected one of the 1 choices"));
}

}  // namespace video_questions_test
