#include <flamingo/eval/tasks/actions.hpp>

#include <catch2/catch.hpp>
#include <cstring>

#include "made_up.hpp"

namespace actions_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("RareAct is read, and its scores are a matrix of NumPy", "[eval][tasks]") {
  const TemporaryFolder folder;
  std::string csv = "id,video_id,start,end,class_id,verb,noun,annotation\n";
  for (int i = 0; i < made_up; ++i)
    csv += number(i) + ",7frRY7aGwM" + number(i / 3) + "," + number(i) + "," + number(i + 2) + "," + number(i % 4) +
           "," + (i % 2 ? "cut" : "hit") + "," + (i % 4 < 2 ? "laptop" : "phone") + "," + number(i % 5) + "\n";
  const RareAct task = RareAct::of(folder.write("rareact.csv", csv), "/v");
  REQUIRE(task.items.size() == made_up);
  REQUIRE(task.actions.size() == 4);
  CHECK(task.actions[3] == std::pair<std::string, std::string>{"cut", "phone"});
  CHECK(task.items[11].id == "11");
  CHECK(task.items[11].media[0] == TaskMedium{"/v/7frRY7aGwM3.mp4", true, 11, 13});
  CHECK(task.items[11].field("noun") == "phone");
  CHECK(task.items[11].label == 3);
  CHECK(task.items[12].label == -1);
  CHECK(task.clips[12].annotation == 2);

  std::vector<Prediction> predictions;
  std::vector<double> all;
  for (int i = 0; i < made_up; ++i) {
    predictions.push_back({number(i), "", {0.5 * i, 1, -2, 3.25}});
    all.insert(all.end(), predictions.back().scores.begin(), predictions.back().scores.end());
  }
  CHECK(rare_act_mwap(task.clips, all, 4) > 0);
  write_rare_act(folder.path() / "r.npy", predictions, 4);
  const std::string bytes = tests::read_bytes(folder.path() / "r.npy");
  CHECK(bytes.size() % 64 == (made_up * 4 * 8) % 64);
  CHECK(bytes.substr(0, 6) == "\x93NUMPY");
  CHECK(bytes.find("'shape': (53, 4)") != bytes.npos);
  double last = 0;
  std::memcpy(&last, bytes.data() + bytes.size() - 8, 8);
  CHECK(last == 3.25);
  const auto bad = folder.write(
      "b.csv", "id,video_id,start,end,class_id,verb,noun,annotation\n1,v,0,1,0,cut,a,1\n2,v,0,1,0,cut,b,1\n");
  CHECK(error_of([&] { RareAct::of(bad, "/"); }).ends_with("line 3: class 0 is 'cut b', and was 'cut a'"));
}

TEST_CASE("Kinetics is read with its classes in order", "[eval][tasks]") {
  const TemporaryFolder folder;
  std::string csv = "label,youtube_id,time_start,time_end,split\n",
              unlabelled = "youtube_id,time_start,time_end,split\n";
  constexpr const char* labels[] = {"testifying", "washing feet", "air drumming"};
  for (int i = 0; i < made_up; ++i) {
    const std::string rest = "--QUuC4vJ" + number(10 + i) + "," + number(i) + "," + number(i + 10) + ",";
    csv += "\"" + std::string(labels[i % 3]) + "\"," + rest + "validate\n";
    unlabelled += rest + "test\n";
  }
  const Kinetics task = Kinetics::of(folder.write("validate.csv", csv), "/k");
  REQUIRE(task.items.size() == made_up);
  CHECK(task.classes == std::vector<std::string>{"air drumming", "testifying", "washing feet"});
  CHECK(task.items[4].id == "--QUuC4vJ14_000004_000014");
  CHECK(task.items[4].media[0] == TaskMedium{"/k/washing feet/--QUuC4vJ14_000004_000014.mp4", true});
  CHECK(task.items[4].label == 2);
  CHECK(task.items[4].split == "validate");
  const Kinetics test = Kinetics::of(folder.write("test.csv", unlabelled), "/k", task.classes);
  CHECK(test.items[4].media[0].path == "/k/--QUuC4vJ14_000004_000014.mp4");
  CHECK(test.items[4].label == -1);
  write_kinetics(folder.path() / "r.json", task.classes,
                 std::vector<Prediction>{{task.items[4].id, "", {0.25, 0.5, 0.125}}});
  const Json result = parsed(folder.path() / "r.json");
  const Json& best = result.at("results").at("--QUuC4vJ14");
  CHECK(best.as_array()[0] == Json(Json::Object{{"label", "testifying"}, {"score", 0.5}}));
  CHECK(error_of([&] {
          Kinetics::of(folder.path() / "validate.csv", "/k", {"testifying"});
        }).ends_with("line 3: found the class 'washing feet', expected one of 1"));
}

}  // namespace actions_test
