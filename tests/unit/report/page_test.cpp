#include "core/report/page.h"

#include <gtest/gtest.h>

#include "core/report/assets.h"
#include "tests/unit/support/expect_words.h"

namespace regulon::core::report {
namespace {

using regulon::tests::expect_words;

constexpr const char* kHostile = "<script>alien()</script>\"'&{{title}}<!--vega-->";
constexpr const char* kEscaped =
    "&lt;script&gt;alien()&lt;/script&gt;&quot;&apos;&amp;{{title}}&lt;!--vega--&gt;";

Page page_of(const std::string& text) {
  Figure figure;
  figure.title = text;
  figure.caption = text;
  figure.spec = {{"values", text}};
  figure.numbers = {text, {{text, ""}}, {{{text, "number"}}}, text, true, {}};
  Page page;
  page.kind = "run";
  page.title = page.lead = text;
  page.notices = {text};
  page.tiles = {{text, text, text}};
  page.sections = {{text, {text}, {figure.numbers}, {figure}, {figure.numbers}}};
  return page;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(ReportPage, EscapesWhateverItIsGiven) {
  const std::string html = to_html(page_of(kHostile));
  EXPECT_EQ(html.find("<script>alien"), std::string::npos);
  EXPECT_EQ(html.find("</script>\"'"), std::string::npos);
  EXPECT_GE(count(html, kEscaped), 15U);
  // The chart's own element: the text is whole, and cannot end it.
  expect_words(html, {R"("values":"\u003cscript>alien()\u003c/script>)"});
}

TEST(ReportPage, ReplacesWhatIsNotUtf8) {
  const std::string html =
      to_html(page_of("a\xff\xfe"
                      "b ü \xe2\x82"));
  EXPECT_EQ(html.find('\xff'), std::string::npos);
  expect_words(html, {"a\xef\xbf\xbd\xef\xbf\xbd"
                      "b ü \xef\xbf\xbd"});
}

TEST(ReportPage, NeedsNothingElse) {
  const std::string html = to_html(page_of("x"));
  for (const char* outside : {"src=\"http", "href=\"http", "@import", "url(http", "sourceMappingURL"})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  EXPECT_EQ(count(html, "<!--style-->") + count(html, "<!--draw-->") + count(html, "<!--vega-->"), 0U);
  EXPECT_EQ(count(html, "{{"), 0U);
}

TEST(ReportPage, HoldsTheLibraryOnce) {
  EXPECT_EQ(has_charts(), !asset("vega.js").empty());
  const std::string html = to_html(page_of("x"));
  EXPECT_LT(html.size(), asset("vega.js").size() + 30'000);
  EXPECT_GT(html.size(), asset("vega.js").size());
}

TEST(ReportPage, AnAssetThatIsNoneIsADefect) { EXPECT_THROW(asset("nothing"), std::logic_error); }

TEST(ReportPage, AnEmptyPageIsWhole) {
  const std::string html = to_html({"run", "t", "", {}, {}, {}});
  expect_words(html, {"<title>t ", "</html>"});
  EXPECT_EQ(html.find("<dl"), std::string::npos);
}

}  // namespace
}  // namespace regulon::core::report
