#include "core/report/study_likeness.h"

#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/step.h>

#include <algorithm>
#include <exception>
#include <set>

#include <regulon/matching.h>
#include "core/io/json_file.h"
#include "core/measure/nearest.h"
#include "core/plugin/call.h"
#include "core/report/charts.h"
#include "core/report/study_page.h"
#include "core/report/words.h"
#include "core/train/run.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kAliveRows = 4096;      ///< held-out rows that tell which features fire
constexpr std::int64_t kRandomQueries = 1024;  ///< random directions that look for their nearest
constexpr std::int64_t kMatchPasses = 3;       ///< over all pairs: a report does not wait for a proof
/// Passes over all pairs that a comparison takes: nearest both ways, and what matching does.
constexpr double kPassesOfPair = 2 + 2 + static_cast<double>(kMatchPasses);

/// Decoder rows of a run's features that fire, of length one.
struct SeedRows {
  std::int64_t seed = 0;
  std::string data;  ///< hash of what the run was trained on
  at::Tensor rows;   ///< [alive, d]
};

/// The hash of what the run in `folder` was trained on; empty if its manifest does not tell.
std::string trained_on(const fs::path& folder) {
  const nlohmann::json manifest = read_json_object(folder / "manifest.json");
  const auto data = manifest.find("data");
  return data != manifest.end() && data->is_string() ? data->get<std::string>() : "";
}

SeedRows read_rows(const StudyRun& run, const fs::path& folder, PluginHost& host) {
  Run opened(folder, host);
  const at::Tensor frequency = opened.evaluate(opened.source(), kAliveRows).held_out.frequency;
  const at::Tensor weight = opened.model().dictionary().detach().weight();
  const at::Tensor alive = (frequency > 0) & weight.ne(0).any(1);
  return {run.seed, trained_on(folder), unit_directions(weight.index_select(0, alive.nonzero().squeeze(1)))};
}

double mean_nearest(const at::Tensor& rows, const at::Tensor& among) {
  return nearest_directions(rows, among, 1).cosines.to(at::kDouble).mean().item<double>();
}

SeedPair compare_seeds(const SeedRows& a, const SeedRows& b) {
  SeedPair pair{a.seed, b.seed, 0, 0, 0};
  pair.mmcs = (mean_nearest(a.rows, b.rows) + mean_nearest(b.rows, a.rows)) / 2;
  ops::MatchSettings settings;
  settings.passes = kMatchPasses;
  pair.mcc = ops::match_rows(a.rows, b.rows, settings).mean;
  const auto random = [&](std::int64_t count, const char* name) {
    return unit_directions(
        at::randn({count, a.rows.size(1)}, named_generator(0, name), at::TensorOptions(at::kFloat)));
  };
  pair.random = mean_nearest(random(std::min(kRandomQueries, a.rows.size(0)), "report.queries"),
                             random(b.rows.size(0), "report.directions"));
  return pair;
}

class LikenessReader {
 public:
  LikenessReader(const StudyRecord& study, const fs::path& folder, PluginHost& host, double work)
      : study_(study), folder_(folder), host_(host), work_(work) {}

  Likeness read() {
    for (const StudyPoint& point : study_.points) {
      if (found_.why_not.empty()) read_point(point);
    }
    return std::move(found_);
  }

 private:
  void read_point(const StudyPoint& point) {
    std::vector<const StudyRun*> done;
    for (const StudyRun& run : study_.runs) {
      if (run.point == point.label && run.status == "done") done.push_back(&run);
    }
    if (done.size() < 2) return;
    const std::size_t all = done.size() * (done.size() - 1) / 2;
    if (work_ <= 0 || found_.points.size() == kLikePoints) {
      found_.too_many += all;
      return;
    }
    done.resize(std::min(done.size(), kLikeSeeds));
    std::set<std::string> data;  // to open runs takes a while: not where there is nothing to compare
    for (const StudyRun* run : done) data.insert(trained_on(StudyPaths{folder_}.run(run->name)));
    if (data.size() == done.size()) {
      found_.other_data += all;
      return;
    }
    std::vector<SeedRows> seeds;
    try {
      for (const StudyRun* run : done)
        seeds.push_back(read_rows(*run, StudyPaths{folder_}.run(run->name), host_));
    } catch (const std::exception&) {
      found_.why_not = exception_text();
      return;
    }
    found_.too_many += all - seeds.size() * (seeds.size() - 1) / 2;
    compare(short_name(point), seeds);
  }

  void compare(const std::string& name, const std::vector<SeedRows>& seeds) {
    PointLikeness point{name, {}};
    for (std::size_t a = 0; a < seeds.size(); ++a) {
      for (std::size_t b = a + 1; b < seeds.size(); ++b) {
        if (seeds[a].data != seeds[b].data) {
          ++found_.other_data;
        } else if (spend(seeds[a].rows, seeds[b].rows)) {
          point.pairs.push_back(compare_seeds(seeds[a], seeds[b]));
          ++found_.compared;
        }
      }
    }
    if (!point.pairs.empty()) found_.points.push_back(std::move(point));
  }

  /// Whether there is work left for the pair.
  bool spend(const at::Tensor& a, const at::Tensor& b) {
    if (a.size(0) == 0 || b.size(0) == 0) return false;
    const double needed = kPassesOfPair * static_cast<double>(a.numel()) * static_cast<double>(b.size(0));
    if (needed > work_) {
      work_ = 0;  // what is compared depends on the order of points alone
      ++found_.too_many;
      return false;
    }
    work_ -= needed;
    return true;
  }

  const StudyRecord& study_;
  const fs::path& folder_;
  PluginHost& host_;
  double work_;
  Likeness found_;
};

double mean_over(const PointLikeness& point, double SeedPair::*value) {
  double sum = 0;
  for (const SeedPair& pair : point.pairs) sum += pair.*value;
  return sum / static_cast<double>(point.pairs.size());
}

Table likeness_table(const Likeness& likeness) {
  Table table{
      "The numbers",
      {{"point", ""}, {"seeds", "number"}, {"MCC", "number"}, {"MMCS", "number"}, {"MMCS, random", "number"}},
      {},
      "MMCS: mean over features of the highest cosine with any feature of the other seed, both ways. "
      "Random: of directions drawn by chance, as many.",
      true,
      {}};
  for (const PointLikeness& point : likeness.points) {
    for (const SeedPair& pair : point.pairs) {
      table.rows.push_back({{point.name, "name"},
                            {fmt::format("{}, {}", pair.seed_a, pair.seed_b), "number"},
                            {number_text(pair.mcc), "number"},
                            {number_text(pair.mmcs), "number"},
                            {number_text(pair.random), "number"}});
    }
  }
  return table;
}

std::string likeness_caption(const Likeness& likeness) {
  const auto mcc = [](const PointLikeness& point) { return mean_over(point, &SeedPair::mcc); };
  const auto [low, high] = std::minmax_element(likeness.points.begin(), likeness.points.end(),
                                               [&](const auto& a, const auto& b) { return mcc(a) < mcc(b); });
  std::string text = "1: every seed finds the same features. ";
  if (likeness.points.size() == 1 || mcc(*low) == mcc(*high)) {
    text += fmt::format("Here seeds agree to {}", number_text(mcc(*high)));
  } else {
    text += fmt::format("Seeds agree most with {} ({}), least with {} ({})", high->name,
                        number_text(mcc(*high)), low->name, number_text(mcc(*low)));
  }
  return text + fmt::format("; random directions of the shape of the first point have their nearest at {}.",
                            number_text(mean_over(likeness.points.front(), &SeedPair::random)));
}

Figure likeness_figure(const Likeness& likeness) {
  std::vector<Dot> dots;
  for (const PointLikeness& point : likeness.points) {
    std::vector<double> values;
    for (const SeedPair& pair : point.pairs) values.push_back(pair.mcc);
    dots.push_back({point.name, mean_over(point, &SeedPair::mcc), 0, values, dots.empty() ? "base" : "none"});
  }
  Figure figure;
  figure.title = "How alike the seeds' dictionaries are";
  figure.spec = dot_chart(dots, {"MCC: mean cosine of matched features", false});
  figure.caption = likeness_caption(likeness);
  figure.numbers = likeness_table(likeness);
  return figure;
}

}  // namespace

Likeness seed_likeness(const StudyRecord& study, const fs::path& folder, PluginHost& host, double work) {
  const at::NoGradGuard no_grad;
  return LikenessReader(study, folder, host, work).read();
}

Section likeness_section(const Likeness& likeness) {
  Section section{"Seeds", {}, {}, {}, {}};
  if (likeness.compared > 0) {
    section.text.push_back(fmt::format(
        "Features that fire, matched one to one between two seeds of a point so that their cosines are "
        "highest; "
        "{}. Small dots are pairs of seeds, large marks their mean.",
        likeness.too_many == 0
            ? "all pairs of seeds are compared"
            : fmt::format(
                  "{} of {} pairs are compared, of each point's first {} seeds and as far as that is quick "
                  "(`regulon compare A B` takes any two)",
                  likeness.compared, likeness.compared + likeness.too_many, kLikeSeeds)));
    section.figures.push_back(likeness_figure(likeness));
  } else if (likeness.too_many > 0) {
    section.text.emplace_back(
        "Dictionaries of different seeds are not compared: they are too large for that to be quick. `regulon "
        "compare "
        "A B` takes any two runs.");
  }
  if (likeness.other_data > 0) {
    section.text.push_back(fmt::format(
        "{} of seeds {} not compared: a seed that draws data of its own, as toys do, has other true "
        "features to find.",
        count_text(likeness.other_data, "pair"), likeness.other_data == 1 ? "is" : "are"));
  }
  if (!likeness.why_not.empty())
    section.text.push_back("Not all seeds could be compared: " + likeness.why_not);
  return section;
}

}  // namespace regulon::core::report
