import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.mlflow.api.proto.ModelRegistry.ModelVersion;
import org.mlflow.api.proto.Service.CreateRun;
import org.mlflow.api.proto.Service.Experiment;
import org.mlflow.api.proto.Service.FileInfo;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Param;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunInfo;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.api.proto.Service.RunTag;
import org.mlflow.api.proto.Service.ViewType;
import org.mlflow.tracking.ExperimentsPage;
import org.mlflow.tracking.MlflowClient;
import org.mlflow.tracking.MlflowHttpException;
import org.mlflow.tracking.RunsPage;

/** What MLflow's Java client is answered, as one JSON document. Values are texts. */
public class Scenario {
  private static final MlflowClient CLIENT = new MlflowClient(System.getenv("MLFLOW_TRACKING_URI"));
  private static final String NAME = System.getenv("COMPAT_NAME");
  private static final List<String> ITEMS = new ArrayList<>();
  private static final List<String[]> HIDDEN = new ArrayList<>();

  private interface Action {
    void run() throws Exception;
  }

  public static void main(String[] arguments) throws Exception {
    HIDDEN.add(new String[] {NAME, "<name>"});
    String experiment = experiments();
    String run = runs(experiment);
    measured(run);
    searched(experiment);
    files(run);
    registered(run);
    System.out.println("\n{" + String.join(", ", ITEMS) + "}");
    CLIENT.close();
  }

  private static String experiments() throws Exception {
    String made = CLIENT.createExperiment(NAME);
    HIDDEN.add(new String[] {"/" + made + "/", "/<experiment>/"});
    call("experiment", () -> show(CLIENT.getExperiment(made)));
    call("experiment: taken", () -> CLIENT.createExperiment(NAME));
    call("experiment: empty", () -> CLIENT.createExperiment(""));
    call("experiment: by name", () -> CLIENT.getExperimentByName(NAME).map(Scenario::show).orElse("none"));
    Optional<Experiment> none = CLIENT.getExperimentByName(NAME + "-none");
    call("experiment: by unknown name", () -> none.isPresent());
    call("experiment: unknown", () -> CLIENT.getExperiment("123456789"));
    act("experiment: tag", () -> CLIENT.setExperimentTag(made, "team", "vision"));
    act("experiment: rename", () -> CLIENT.renameExperiment(made, NAME + "-renamed"));
    act("experiment: delete", () -> CLIENT.deleteExperiment(made));
    call("experiment: deleted", () -> show(CLIENT.getExperiment(made)));
    act("experiment: restore", () -> CLIENT.restoreExperiment(made));
    String filter = "name LIKE '" + NAME + "%'";
    call("experiments: search", () -> names(CLIENT.searchExperiments(filter)));
    call(
        "experiments: all",
        () -> names(CLIENT.searchExperiments(filter, ViewType.ALL, 5, List.of("name DESC"))));
    call("experiments: wrong filter", () -> names(CLIENT.searchExperiments("colour = 'x'")));
    return made;
  }

  private static String runs(String experiment) {
    CreateRun wanted =
        CreateRun.newBuilder()
            .setExperimentId(experiment)
            .setRunName("one")
            .setStartTime(1700000000000L)
            .addTags(RunTag.newBuilder().setKey("a").setValue("b"))
            .build();
    RunInfo made = CLIENT.createRun(wanted);
    String id = made.getRunId();
    HIDDEN.add(new String[] {id, "<run>"});
    call("run: made", () -> show(made));
    call("run", () -> show(CLIENT.getRun(id)));
    call("run: unknown", () -> CLIENT.getRun("0".repeat(32)));
    call("run: unknown experiment", () -> CLIENT.createRun("123456789"));
    act("run: terminated", () -> CLIENT.setTerminated(id, RunStatus.FAILED, 1700000001000L));
    call("run: after", () -> show(CLIENT.getRun(id)));
    act("run: delete", () -> CLIENT.deleteRun(id));
    call("run: deleted", () -> show(CLIENT.getRun(id)));
    act("run: log into a deleted one", () -> CLIENT.logParam(id, "late", "1"));
    act("run: restore", () -> CLIENT.restoreRun(id));
    return id;
  }

  private static void measured(String run) {
    act("metric", () -> CLIENT.logMetric(run, "loss", 0.5, 1000, 1));
    act("metric: NaN", () -> CLIENT.logMetric(run, "odd", Double.NaN, 1000, 1));
    act("metric: infinite", () -> CLIENT.logMetric(run, "inf", Double.POSITIVE_INFINITY, 1000, 1));
    act("metric: wrong name", () -> CLIENT.logMetric(run, "a#b", 1.0, 1000, 1));
    act("param", () -> CLIENT.logParam(run, "lr", "0.1"));
    act("param: changed", () -> CLIENT.logParam(run, "lr", "0.2"));
    act("tag", () -> CLIENT.setTag(run, "t", "größe ✓"));
    act("tag: delete", () -> CLIENT.deleteTag(run, "a"));
    act("tag: delete again", () -> CLIENT.deleteTag(run, "a"));
    List<Metric> metrics =
        IntStream.range(0, 500)
            .mapToObj(
                n -> Metric.newBuilder().setKey("b").setValue(n).setTimestamp(n).setStep(n).build())
            .collect(Collectors.toList());
    List<Param> params = List.of(Param.newBuilder().setKey("p").setValue("1").build());
    List<RunTag> tags = List.of(RunTag.newBuilder().setKey("u").setValue("2").build());
    act("batch", () -> CLIENT.logBatch(run, metrics, params, tags));
    call("history", () -> CLIENT.getMetricHistory(run, "b").size());
    call(
        "history: values",
        () ->
            CLIENT.getMetricHistory(run, "loss").stream()
                .map(m -> m.getStep() + " " + m.getTimestamp() + " " + m.getValue())
                .collect(Collectors.joining(", ")));
    call("data", () -> data(CLIENT.getRun(run)));
  }

  private static void searched(String experiment) {
    List<String> where = List.of(experiment);
    for (int number = 0; number < 5; number++) {
      CreateRun wanted =
          CreateRun.newBuilder()
              .setExperimentId(experiment)
              .setRunName("s" + number)
              .setStartTime(1000 + number)
              .build();
      CLIENT.logMetric(CLIENT.createRun(wanted).getRunId(), "m", number, 10, 0);
    }
    for (String filter :
        List.of("metrics.m > 2", "attributes.run_name = 's1'", "metrics.m >", "colour = 'x'")) {
      call("search: " + filter, () -> names(CLIENT.searchRuns(where, filter)));
    }
    List<String> order = List.of("metrics.m DESC");
    call(
        "search: pages",
        () -> {
          RunsPage page =
              CLIENT.searchRuns(where, "metrics.m >= 0", ViewType.ACTIVE_ONLY, 2, order);
          List<String> found = new ArrayList<>();
          for (; page.getItems().size() > 0; page = (RunsPage) page.getNextPage()) {
            page.getItems().forEach(each -> found.add(each.getInfo().getRunName()));
            found.add("|");
          }
          return found;
        });
  }

  private static void files(String run) throws Exception {
    Path folder = Files.createTempDirectory("compat-java");
    Files.writeString(folder.resolve("a.txt"), "größe", StandardCharsets.UTF_8);
    Files.createDirectory(folder.resolve("in"));
    Files.write(folder.resolve("in").resolve("b.bin"), new byte[1 << 20]);
    act("artifact", () -> CLIENT.logArtifact(run, folder.resolve("a.txt").toFile(), "one"));
    act("artifacts", () -> CLIENT.logArtifacts(run, folder.toFile(), "all"));
    call("artifacts: list", () -> paths(CLIENT.listArtifacts(run)));
    call("artifacts: list folder", () -> paths(CLIENT.listArtifacts(run, "all")));
    call("artifacts: list nothing", () -> paths(CLIENT.listArtifacts(run, "nowhere")));
    call(
        "artifacts: download",
        () -> {
          File found = CLIENT.downloadArtifacts(run, "one/a.txt");
          return Files.readString(found.toPath(), StandardCharsets.UTF_8);
        });
    call("artifacts: download nothing", () -> CLIENT.downloadArtifacts(run, "nowhere").length());
  }

  private static void registered(String run) throws Exception {
    String model = NAME + "-model";
    String source = CLIENT.getRun(run).getInfo().getArtifactUri() + "/all";
    act(
        "model",
        () -> CLIENT.sendPost("registered-models/create", "{\"name\": \"" + model + "\"}"));
    String body =
        String.format(
            Locale.ROOT,
            "{\"name\": \"%s\", \"source\": \"%s\", \"run_id\": \"%s\"}",
            model,
            source,
            run);
    act("version", () -> CLIENT.sendPost("model-versions/create", body));
    act("version: second", () -> CLIENT.sendPost("model-versions/create", body));
    call("model: name", () -> CLIENT.getRegisteredModel(model).getName());
    call("model: unknown", () -> CLIENT.getRegisteredModel(model + "-none").getName());
    call("version: get", () -> show(CLIENT.getModelVersion(model, "1")));
    call("version: unknown", () -> show(CLIENT.getModelVersion(model, "99")));
    call(
        "versions: latest",
        () ->
            CLIENT.getLatestVersions(model).stream()
                .map(Scenario::show)
                .collect(Collectors.joining(", ")));
    call(
        "versions: latest of a stage",
        () -> CLIENT.getLatestVersions(model, Arrays.asList("Production")).size());
    call("version: download uri", () -> CLIENT.getModelVersionDownloadUri(model, "1"));
    call(
        "versions: search",
        () ->
            CLIENT.searchModelVersions("name = '" + model + "'").getItems().stream()
                .map(Scenario::show)
                .sorted()
                .collect(Collectors.joining(", ")));
    call(
        "version: download",
        () -> {
          File folder = CLIENT.downloadModelVersion(model, "1");
          return Files.exists(folder.toPath().resolve("in").resolve("b.bin"));
        });
  }

  // --- Taking down ---------------------------------------------------------------------------

  private static void act(String item, Action action) {
    call(
        item,
        () -> {
          action.run();
          return "done";
        });
  }

  private static void call(String item, Callable<Object> asked) {
    String answer;
    try {
      answer = quoted(String.valueOf(asked.call()));
    } catch (MlflowHttpException error) {
      answer = failure(error.getClass(), error.getStatusCode() + " " + error.getBodyMessage());
    } catch (Exception error) {
      answer = failure(error.getClass(), "");
    }
    ITEMS.add(quoted(item) + ": " + answer);
  }

  private static String failure(Class<?> kind, String said) {
    int code = said.indexOf("\"error_code\"");
    String found = code < 0 ? "" : said.substring(code).split("\"")[3];
    return String.format(
        Locale.ROOT,
        "{\"error\": %s, \"error_code\": %s, \"message\": %s}",
        quoted(kind.getSimpleName()),
        quoted(found),
        quoted(said));
  }

  private static String quoted(String text) {
    String shown = text;
    for (String[] each : HIDDEN) {
      shown = shown.replace(each[0], each[1]);
    }
    StringBuilder json = new StringBuilder("\"");
    for (char each : shown.toCharArray()) {
      if (each == '"' || each == '\\' || each < ' ' || each > '~') {
        json.append(String.format(Locale.ROOT, "\\u%04x", (int) each));
      } else {
        json.append(each);
      }
    }
    return json.append('"').toString();
  }

  private static String show(Experiment each) {
    return each.getName() + " " + each.getLifecycleStage() + " " + each.getTagsList().size();
  }

  private static String show(RunInfo each) {
    return String.join(
        " ",
        List.of(
            each.getRunName(),
            each.getStatus().toString(),
            String.valueOf(each.getStartTime()),
            String.valueOf(each.getEndTime()),
            each.getLifecycleStage(),
            each.getArtifactUri()));
  }

  private static String show(Run each) {
    return show(each.getInfo()) + " " + data(each);
  }

  private static String show(ModelVersion each) {
    return String.join(
        " ",
        List.of(
            each.getName(), each.getVersion(), each.getCurrentStage(), each.getSource(),
            each.getRunId(), each.getStatus().toString()));
  }

  private static String data(Run each) {
    List<String> found = new ArrayList<>();
    each.getData().getMetricsList().forEach(m -> found.add(m.getKey() + "=" + m.getValue() + "@" + m.getStep()));
    each.getData().getParamsList().forEach(p -> found.add(p.getKey() + "=" + p.getValue()));
    each.getData().getTagsList().forEach(t -> found.add(t.getKey() + "=" + t.getValue()));
    found.sort(null);
    return found.toString();
  }

  private static String names(ExperimentsPage page) {
    return page.getItems().stream().map(Experiment::getName).collect(Collectors.joining(", "));
  }

  private static String names(List<RunInfo> found) {
    return found.stream().map(RunInfo::getRunName).sorted().collect(Collectors.joining(", "));
  }

  private static String paths(List<FileInfo> found) {
    return found.stream()
        .map(each -> each.getPath() + " " + each.getIsDir() + " " + each.getFileSize())
        .sorted()
        .collect(Collectors.joining(", "));
  }
}
