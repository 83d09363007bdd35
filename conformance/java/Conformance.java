import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.mlflow.api.proto.ModelRegistry.ModelVersion;
import org.mlflow.api.proto.ModelRegistry.RegisteredModel;
import org.mlflow.api.proto.Service.*;
import org.mlflow.tracking.*;

/** Uses every call of the official Java client that does not start MLflow's Python command, and checks what comes back. */
public class Conformance {
  private static final long T0 = 1_700_000_000_000L;
  private final String url;
  private final MlflowClient client;

  Conformance(String url) {
    this.url = url;
    client = new MlflowClient(url);
  }

  public static void main(String[] args) throws Exception {
    Conformance c = new Conformance(args[0]);
    c.experiments();
    c.runs();
    c.batches();
    c.search();
    c.context();
    c.registry();
    c.errors();
    c.client.close();
    System.out.println("all calls answered as expected");
  }

  static void check(boolean ok, String what) {
    if (!ok) {
      throw new AssertionError(what);
    }
  }

  static void same(Object got, Object want) {
    check(got.equals(want), "got " + got + ", want " + want);
  }

  void experiments() {
    String id = client.createExperiment("java");
    Experiment e = client.getExperiment(id);
    same(e.getName(), "java");
    same(e.getLifecycleStage(), "active");
    check(e.getCreationTime() > T0, "creation time " + e.getCreationTime());
    check(e.getArtifactLocation().startsWith("mlflow-artifacts:/"), e.getArtifactLocation());
    same(client.getExperimentByName("java").get().getExperimentId(), id);
    same(client.getExperimentByName("none"), Optional.empty());
    client.setExperimentTag(id, "team", "blue");
    same(client.getExperiment(id).getTags(0).getValue(), "blue");
    client.renameExperiment(id, "java renamed");
    client.deleteExperiment(id);
    same(client.getExperiment(id).getLifecycleStage(), "deleted");
    client.restoreExperiment(id);
    same(client.getExperiment(id).getName(), "java renamed");
    String tagged = client.createExperiment(CreateExperiment.newBuilder().setName("java tagged").addTags(ExperimentTag.newBuilder().setKey("k").setValue("v")).build());
    ExperimentsPage page = client.searchExperiments("tags.k = 'v'", ViewType.ACTIVE_ONLY, 10, List.of("name ASC"));
    same(page.getItems().size(), 1);
    same(page.getItems().get(0).getExperimentId(), tagged);
    ExperimentsPage first = client.searchExperiments("", ViewType.ALL, 1, List.of("experiment_id ASC"));
    check(first.getNextPageToken().isPresent(), "no next page of experiments");
    ExperimentsPage second = (ExperimentsPage) first.getNextPage();
    check(!second.getItems().get(0).getExperimentId().equals(first.getItems().get(0).getExperimentId()), "the same page again");
  }

  void runs() {
    String exp = client.createExperiment("java runs");
    RunInfo info = client.createRun(CreateRun.newBuilder().setExperimentId(exp).setStartTime(T0).setUserId("ann").addTags(RunTag.newBuilder().setKey("a").setValue("b")).build());
    String id = info.getRunId();
    same(info.getRunUuid(), id);
    same(info.getStartTime(), T0);
    same(info.getStatus(), RunStatus.RUNNING);
    client.logParam(id, "lr", "0.1");
    client.logMetric(id, "loss", 0.5);
    client.logMetric(id, "loss", 0.25, T0 + 5, 2);
    client.logMetric(id, "nan", Double.NaN);
    client.logMetric(id, "inf", Double.POSITIVE_INFINITY);
    client.setTag(id, "t", "1");
    client.setTag(id, "gone", "1");
    client.deleteTag(id, "gone");
    Run run = client.getRun(id);
    same(run.getData().getParams(0).getValue(), "0.1");
    for (Metric m : run.getData().getMetricsList()) {
      switch (m.getKey()) {
        case "loss" -> { same(m.getValue(), 0.25); same(m.getStep(), 2L); }
        case "nan" -> check(Double.isNaN(m.getValue()), "not NaN: " + m.getValue());
        case "inf" -> same(m.getValue(), Double.POSITIVE_INFINITY);
        default -> check(false, m.getKey());
      }
    }
    List<String> tags = run.getData().getTagsList().stream().map(RunTag::getKey).collect(Collectors.toList());
    check(tags.contains("a") && tags.contains("t") && !tags.contains("gone"), tags.toString());
    List<Metric> history = client.getMetricHistory(id, "loss");
    same(history.size(), 2);
    same(history.get(0).getTimestamp(), T0 + 5);
    client.setTerminated(id, RunStatus.FAILED, T0 + 9);
    same(client.getRun(id).getInfo().getStatus(), RunStatus.FAILED);
    same(client.getRun(id).getInfo().getEndTime(), T0 + 9);
    client.deleteRun(id);
    same(client.getRun(id).getInfo().getLifecycleStage(), "deleted");
    client.restoreRun(id);
    same(client.listRunInfos(exp).size(), 1);
  }

  void batches() {
    String id = client.createRun("0").getRunId();
    List<Metric> metrics = new ArrayList<>();
    for (int i = 0; i < 500; i++) {
      metrics.add(Metric.newBuilder().setKey("m").setValue(i / 3.0).setTimestamp(T0 + i).setStep(i).build());
    }
    List<Param> params = List.of(Param.newBuilder().setKey("p").setValue("1").build());
    client.logBatch(id, metrics, params, List.of(RunTag.newBuilder().setKey("t").setValue("x").build()));
    List<Metric> history = client.getMetricHistory(id, "m");
    same(history.size(), 500);
    same(history.get(499).getValue(), 499 / 3.0);
  }

  void search() {
    String exp = client.createExperiment("java search");
    for (int i = 0; i < 5; i++) {
      String id = client.createRun(CreateRun.newBuilder().setExperimentId(exp).setStartTime(T0 + i).build()).getRunId();
      client.logMetric(id, "acc", i / 10.0);
      client.logParam(id, "i", "" + i);
    }
    same(client.searchRuns(List.of(exp), "metrics.acc > 0.15").size(), 3);
    same(client.searchRuns(List.of(exp), "", ViewType.DELETED_ONLY).size(), 0);
    RunsPage page = client.searchRuns(List.of(exp), "params.i != '4'", ViewType.ACTIVE_ONLY, 3, List.of("metrics.acc DESC"));
    same(page.getPageSize(), 3);
    same(page.getItems().get(0).getData().getParams(0).getValue(), "3");
    RunsPage next = (RunsPage) page.getNextPage();
    same(next.getPageSize(), 1);
    check(!next.hasNextPage(), "there is another page");
  }

  void context() {
    MlflowContext context = new MlflowContext(client);
    context.setExperimentName("java search");
    ActiveRun parent = context.startRun("parent");
    ActiveRun child = context.startRun("child", parent.getId());
    child.logParam("a", "b");
    child.logMetric("m", 1.5);
    child.setTag("x", "y");
    child.endRun();
    parent.endRun();
    Run run = client.getRun(child.getId());
    same(run.getInfo().getStatus(), RunStatus.FINISHED);
    check(run.getData().getTagsList().stream().anyMatch(t -> t.getKey().equals("mlflow.parentRunId") && t.getValue().equals(parent.getId())), "no parent");
    check(child.getArtifactUri().endsWith(child.getId() + "/artifacts"), child.getArtifactUri());
  }

  void registry() throws Exception {
    String run = client.createRun("0").getRunId();
    client.sendPost("registered-models/create", "{\"name\":\"java model\",\"tags\":[{\"key\":\"a\",\"value\":\"b\"}]}");
    client.sendPost("runs/set-tag", "{\"run_id\":\"" + run + "\",\"key\":\"x\",\"value\":\"y\"}");
    // The files come from another client; this one only reads the registry.
    upload(run);
    for (int i = 0; i < 2; i++) {
      client.sendPost("model-versions/create", "{\"name\":\"java model\",\"source\":\"runs:/" + run + "/model\",\"run_id\":\"" + run + "\"}");
    }
    client.sendPost("model-versions/transition-stage", "{\"name\":\"java model\",\"version\":\"1\",\"stage\":\"Production\",\"archive_existing_versions\":false}");
    client.sendPatch("registered-models/update", "{\"name\":\"java model\",\"description\":\"told\"}");
    RegisteredModel model = client.getRegisteredModel("java model");
    same(model.getDescription(), "told");
    ModelVersion version = client.getModelVersion("java model", "1");
    same(version.getCurrentStage(), "Production");
    same(version.getRunId(), run);
    List<ModelVersion> latest = client.getLatestVersions("java model");
    same(latest.stream().map(ModelVersion::getVersion).sorted().collect(Collectors.toList()), Arrays.asList("1", "2"));
    same(client.getLatestVersions("java model", Collections.singletonList("None")).get(0).getVersion(), "2");
    check(client.getModelVersionDownloadUri("java model", "1").startsWith("mlflow-artifacts:/"), "download uri");
    ModelVersionsPage page = client.searchModelVersions("name = 'java model'", 1, List.of("version_number DESC"));
    same(page.getItems().get(0).getVersion(), "2");
    check(page.getNextPageToken().isPresent(), "no next page of versions");
  }

  /** Puts the files of a model into a run, as MLflow's Python command would for this client. */
  void upload(String run) throws Exception {
    java.net.http.HttpRequest put = java.net.http.HttpRequest.newBuilder(java.net.URI.create(url + "/api/2.0/mlflow-artifacts/artifacts/0/" + run + "/artifacts/model/MLmodel"))
        .PUT(java.net.http.HttpRequest.BodyPublishers.ofString("flavors:\n  python_function:\n    loader_module: x\n")).build();
    same(java.net.http.HttpClient.newHttpClient().send(put, java.net.http.HttpResponse.BodyHandlers.ofString()).statusCode(), 200);
  }

  void errors() {
    try {
      client.getRun("0".repeat(32));
      check(false, "a run that is not there was found");
    } catch (MlflowHttpException e) {
      same(e.getStatusCode(), 404);
      check(e.getBodyMessage().contains("RESOURCE_DOES_NOT_EXIST"), e.getBodyMessage());
    }
    try {
      client.createExperiment("java runs");
      check(false, "a name was taken twice");
    } catch (MlflowHttpException e) {
      same(e.getStatusCode(), 400);
      check(e.getBodyMessage().contains("RESOURCE_ALREADY_EXISTS"), e.getBodyMessage());
    }
  }
}
