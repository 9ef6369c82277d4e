#include <flamingo/eval/tasks/classes.hpp>

#include <catch2/catch.hpp>
#include <filesystem>

#include "made_up.hpp"

namespace classes_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("HatefulMemes is read and its results are the challenge's", "[eval][tasks]") {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < made_up; ++i) {
    Json::Object meme{{"id", 42953 + i}, {"img", "img/0" + number(42953 + i) + ".png"}};
    if (i % 7) meme.push_back({"label", i % 2});
    meme.push_back({"text", odd_text(i)});
    lines += Json(std::move(meme)).dump() + "\n";
  }
  const auto items = hateful_memes_items(folder.write("dev_seen.jsonl", lines), "/memes");
  REQUIRE(items.size() == made_up);
  CHECK(items[9].id == "42962");
  CHECK(items[9].media[0] == TaskMedium{"/memes/img/042962.png"});
  CHECK(items[9].field("text") == odd_text(9));
  CHECK(items[9].label == 1);
  CHECK(items[9].answers == std::vector<std::string>{"yes"});
  CHECK(items[7].label == -1);
  CHECK(items[9].split == "dev_seen");
  write_hateful_memes(folder.path() / "r.csv", std::vector<Prediction>{{"1", "", {-1.0, -1.0}}, {"2", "", {-3, -1}}});
  CHECK(tests::read_bytes(folder.path() / "r.csv") == "id,proba,label\n1,0.5,0\n2,0.880797078,1\n");
  const auto bad = folder.write("b.jsonl", R"({"id": 1, "img": "a", "text": "", "label": 2})");
  CHECK(error_of([&] { hateful_memes_items(bad, "/"); }).ends_with("line 1.label: found 2, expected 0 to 1"));
}

TEST_CASE("ImageNet's classes and pictures are read in both layouts", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto list =
      folder.write("LOC_synset_mapping.txt",
                   "n01443537 goldfish, Carassius auratus\r\nn01440764 tench, Tinca tinca\nn02 great white shark\n");
  const ImageNetClasses classes = ImageNetClasses::of(list);
  CHECK(classes.ids == std::vector<std::string>{"n01440764", "n01443537", "n02"});
  CHECK(classes.names == std::vector<std::string>{"tench", "goldfish", "great white shark"});
  const auto index = folder.write("i.json", R"({"0": ["n01440764", "tench"], "1": ["n02", "great_white_shark"]})");
  CHECK(ImageNetClasses::of(index).names == std::vector<std::string>{"tench", "great white shark"});

  for (int i = 0; i < made_up; ++i) {
    const std::string wnid = classes.ids[static_cast<std::size_t>(i % 3)];
    std::filesystem::create_directories(folder.path() / "train" / wnid);
    folder.write("train/" + wnid + "/" + wnid + "_" + number(100 + i) + ".JPEG", "");
  }
  const auto items = image_net_items(folder.path() / "train", classes, "train");
  REQUIRE(items.size() == made_up);
  CHECK(items[0].id == "n01440764/n01440764_100.JPEG");
  CHECK(items[18].label == 1);
  CHECK(items[18].answers == std::vector<std::string>{"goldfish"});
  CHECK(items[18].media[0].path == (folder.path() / "train" / items[18].id).string());

  std::string solution = "ImageId,PredictionString\n";
  for (int i = 0; i < made_up; ++i)
    solution += "ILSVRC2012_val_000000" + number(10 + i) + "," + classes.ids[static_cast<std::size_t>(i % 3)] +
                " 85 1 499 272 n02 1 2 3 4 \n";
  const auto val = image_net_val_items(folder.write("LOC_val_solution.csv", solution), "/val", classes);
  REQUIRE(val.size() == made_up);
  CHECK(val[5].media[0].path == "/val/ILSVRC2012_val_00000015.JPEG");
  CHECK(val[5].label == 2);
  write_image_net(folder.path() / "r.txt", std::vector<Prediction>{{"a", "", {0, 5, 3, 9, 1, 2}}});
  CHECK(tests::read_bytes(folder.path() / "r.txt") == "4 2 3 6 5\n");
}

TEST_CASE("unknown classes and empty lists are refused", "[eval][tasks]") {
  const TemporaryFolder folder;
  const auto list = folder.write("c.txt", "n1 a\n");
  const ImageNetClasses classes = ImageNetClasses::of(list);
  std::filesystem::create_directories(folder.path() / "train" / "n2");
  CHECK(error_of([&] {
          image_net_items(folder.path() / "train", classes, "train");
        }).ends_with("n2: found the class 'n2', expected one of 1 known ones"));
  CHECK(error_of([&] {
          image_net_items(folder.path() / "none", classes, "train");
        }).ends_with("none: expected a folder of classes"));
  CHECK(error_of([&] {
          ImageNetClasses::of(folder.write("d.txt", "n1\n"));
        }).ends_with("line 1: found 'n1', expected an id, a space and names"));
  CHECK(error_of([&] {
          ImageNetClasses::of(folder.write("e.txt", "n1 a\nn1 b\n"));
        }).ends_with("the class n1 is there twice"));
  CHECK(error_of([&] { ImageNetClasses::of(folder.write("f.txt", "")); }).ends_with("found no classes"));
}

}  // namespace classes_test
