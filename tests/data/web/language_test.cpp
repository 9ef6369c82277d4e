#include <flamingo/data/web/language.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace language_test {

using namespace flamingo::web;

namespace {

bool english(const std::string& text, const LanguageRules& rules = {}) {
  std::vector<Word> words;
  split_words(text, words);
  return is_english(words, rules);
}

}  // namespace

TEST_CASE("English is English", "[language]") {
  CHECK(english("The brightness of an image can be changed with this command, which is found in the Colours menu."));
  CHECK(english("\"It was,\" she said, (and) THE rest of them had heard it."));
}

TEST_CASE("other languages are not", "[language]") {
  CHECK(!english(
      "Die Helligkeit eines Bildes kann mit diesem Befehl, der sich im Menü Farben befindet, geändert werden."));
  CHECK(!english(
      "La luminosité d'une image peut être changée avec cette commande, qui se trouve dans le menu des couleurs."));
  CHECK(
      !english("El brillo de una imagen se puede cambiar con esta orden, que se encuentra en el menú de los colores."));
  CHECK(!english(
      "De helderheid van een afbeelding kan met deze opdracht worden gewijzigd, die in het menu te vinden is."));
  CHECK(!english("Яркость изображения можно изменить этой командой, которая находится в меню цветов."));
  CHECK(!english("画像の明るさは、このコマンドで変更できます。"));
  CHECK(!english(""));
}

TEST_CASE("lists of words without grammar are no language", "[language]") {
  CHECK(!english("brightness contrast saturation hue lightness colorize threshold levels curves posterize desaturate"));
  CHECK(english("brightness contrast saturation hue the lightness", {.least_share = 0.1}));
  CHECK(!english("brightness contrast saturation hue the lightness", {.least_share = 0.2}));
}

}  // namespace language_test
