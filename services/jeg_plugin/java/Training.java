import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/**
 * Does once what drivers and executors do at their start, so that the JVM can write down which classes that takes
 * ({@code -XX:ArchiveClassesAtExit}). One archive serves drivers, executors and Spark's client.
 */
public final class Training {
    /** Entry points whose own work needs a cluster; loading them brings much of what they use. */
    private static final List<String> ENTRY_POINTS = List.of(
            "org.apache.spark.deploy.yarn.ApplicationMaster",
            "org.apache.spark.deploy.yarn.YarnAllocator",
            "org.apache.spark.deploy.yarn.YarnRMClient",
            "org.apache.spark.deploy.yarn.ExecutorRunnable",
            "org.apache.spark.deploy.yarn.Client",
            "org.apache.spark.deploy.yarn.ClientArguments",
            "org.apache.spark.deploy.yarn.YarnClusterApplication",
            "org.apache.spark.deploy.SparkSubmit",
            "org.apache.spark.deploy.SparkSubmitArguments",
            "org.apache.spark.deploy.PythonRunner",
            "org.apache.spark.executor.YarnCoarseGrainedExecutorBackend",
            "org.apache.spark.executor.CoarseGrainedExecutorBackend",
            "org.apache.spark.scheduler.cluster.YarnClusterScheduler",
            "org.apache.spark.scheduler.cluster.YarnClusterSchedulerBackend",
            "org.apache.spark.scheduler.cluster.CoarseGrainedSchedulerBackend",
            "org.apache.spark.api.python.PythonRDD",
            "org.apache.spark.api.python.PythonUtils",
            "org.apache.spark.api.python.PythonGatewayServer",
            "org.apache.spark.api.python.Py4JServer",
            "org.apache.hadoop.yarn.client.api.impl.AMRMClientImpl",
            "org.apache.hadoop.yarn.client.api.impl.NMClientImpl",
            "org.apache.hadoop.yarn.client.api.impl.YarnClientImpl",
            "org.apache.hadoop.ipc.Client",
            "org.apache.hadoop.ipc.ProtobufRpcEngine2",
            "py4j.GatewayServer",
            "py4j.ClientServer",
            "py4j.commands.CallCommand",
            "py4j.commands.ReflectionCommand",
            "py4j.reflection.ReflectionEngine");

    private Training() {}

    public static void main(String[] args) throws IOException {
        for (String name : ENTRY_POINTS) {
            try {
                Class.forName(name);
            } catch (ClassNotFoundException | LinkageError e) {
                System.err.println("Not in this Spark: " + name);
            }
        }
        if (args.length > 0) {
            load(Files.readAllLines(Path.of(args[0])));
        }
        SparkSession spark = SparkSession.builder().getOrCreate();
        spark.range(1000).count();
        spark.range(1000).selectExpr("id % 3 as k", "id as v").groupBy("k").sum("v").collect();
        spark.sql("select 1 as one, 'a' as text").collect();
        JavaSparkContext.fromSparkContext(spark.sparkContext())
                .parallelize(List.of(1, 2, 3, 4), 2)
                .map(x -> x + 1)
                .collect();
        spark.stop();
        System.out.println("Trained.");
    }

    /** Loads what a cluster's drivers and executors were seen to load, and what this program alone would not. */
    private static void load(List<String> names) {
        int loaded = 0;
        for (String name : names) {
            try {
                Class.forName(name, false, Training.class.getClassLoader());
                loaded++;
            } catch (ClassNotFoundException | LinkageError e) {
                // of another Spark
            }
        }
        System.out.println(loaded + " of " + names.size() + " classes of the list.");
    }
}
