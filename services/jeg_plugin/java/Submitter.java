import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.UndeclaredThrowableException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.PrivilegedExceptionAction;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.yarn.api.records.ApplicationSubmissionContext;
import org.apache.hadoop.yarn.api.records.ContainerLaunchContext;
import org.apache.hadoop.yarn.client.api.YarnClientApplication;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.core.config.Configurator;
import org.apache.spark.SparkConf;
import org.apache.spark.deploy.yarn.Client;
import org.apache.spark.deploy.yarn.ClientArguments;

/**
 * Submits Spark applications to YARN, each as its user, in a JVM that stays: {@code java Submitter SOCKET}.
 *
 * <p>Spark's own YARN client does the work, as in {@code spark-submit --deploy-mode cluster}. Requests come over a unix
 * socket that only this account can open, from {@code jeg_plugin.submitting}, which has checked every value.
 *
 * <p>Strings go both ways as DataInput's UTF. A request is the protocol, "submit", user, "user" or "proxy", the main
 * program, and three lists with their counts: variables of the site (name, value), settings (name, value), arguments. Answers are pairs of a word
 * and a text: "heard"; "ready" with the application's id, when all but the submission itself is done; then, only after
 * the other side has said "go", "submitted". Or "failed": Spark or YARN refuses. Or "refused": this program can't.
 * Whoever goes away before "go" can be certain that nothing is submitted.
 */
public final class Submitter {
    private static final String PROTOCOL = "remote-kernels-submitter/1";
    private static final Pattern USER = Pattern.compile("[A-Za-z_][A-Za-z0-9._-]{0,62}");
    /** What spark-submit does for a site beyond Spark's YARN client; with these in spark-defaults.conf it has to do it. */
    private static final Set<String> FOR_SPARK_SUBMIT = Set.of(
            "spark.jars",
            "spark.jars.packages",
            "spark.files",
            "spark.archives",
            "spark.submit.pyFiles",
            "spark.kerberos.keytab",
            "spark.kerberos.principal",
            "spark.yarn.keytab",
            "spark.yarn.principal");

    private static final int AT_ONCE = 8;
    private static final int GO_SECONDS = 30;
    private static final int WARM_UP_SECONDS = 20;
    private static final int MAXIMUM_TEXT = 4000;

    private static final ExecutorService callers = Executors.newCachedThreadPool();
    private static final ExecutorService workers = Executors.newFixedThreadPool(AT_ONCE);
    /** When each submission that is under way and not yet ready was begun, in nanoseconds. */
    private static final Map<Object, Long> preparing = new ConcurrentHashMap<>();

    private Submitter() {}

    public static void main(String[] args) throws Exception {
        callers.execute(Submitter::endWithParent);
        logIn();
        warmUp(args.length > 1 ? args[1] : null);
        Path path = Path.of(args[0]);
        Files.deleteIfExists(path);
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(path), 256);
            Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
            System.err.println("Ready to submit.");
            while (true) {
                SocketChannel caller = server.accept();
                callers.execute(() -> serve(caller));
            }
        }
    }

    /** Standard input is a pipe from the process that started this one: its end is that process's end. */
    private static void endWithParent() {
        try {
            while (System.in.read() >= 0) {
                // nothing is ever said there
            }
        } catch (IOException e) {
            // as good as an end
        }
        Runtime.getRuntime().halt(0);
    }

    private static void logIn() throws IOException {
        if (!UserGroupInformation.isSecurityEnabled()) {
            return;
        }
        String principal = System.getenv("REMOTE_KERNELS_PRINCIPAL");
        String keytab = System.getenv("REMOTE_KERNELS_KEYTAB");
        if (principal != null && keytab != null) {
            UserGroupInformation.loginUserFromKeytab(principal, keytab);
        }
    }

    /** Does everything but the submission once, so that what it needs is loaded before the first person waits. */
    private static void warmUp(String program) throws Exception {
        if (program == null) {
            return;
        }
        String user = UserGroupInformation.getLoginUser().getShortUserName();
        Request request = new Request(user, false, program, Map.of("spark.app.name", "warm-up"), new String[0]);
        Future<?> work = workers.submit(() -> {
            try {
                request.submit(id -> false);
            } catch (Throwable e) {
                System.err.println("Warm-up: " + told(e).split("\n")[0]);
            }
        });
        try {
            work.get(WARM_UP_SECONDS, TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            work.cancel(true);
            System.err.println("Warm-up: the cluster does not answer.");
        }
        Configurator.setRootLevel(Level.WARN);
    }

    private static void serve(SocketChannel channel) {
        Caller caller = new Caller(channel);
        try {
            DataInputStream in = new DataInputStream(caller);
            if (!PROTOCOL.equals(in.readUTF())) {
                caller.answer("refused", "this submitter speaks " + PROTOCOL);
                return;
            }
            if ("ping".equals(in.readUTF())) {
                caller.answer("alive", Long.toString(secondsOfTheOldest()));
                return;
            }
            Request request = Request.from(in);
            caller.answer("heard", "");
            serve(request, caller, in);
        } catch (IllegalArgumentException | IOException e) {
            caller.answer("refused", told(e));
        } finally {
            caller.close();
        }
    }

    private static void serve(Request request, Caller caller, DataInputStream in) {
        CompletableFuture<Boolean> go = new CompletableFuture<>();
        Future<?> work = workers.submit(() -> {
            preparing.put(request, System.nanoTime());
            try {
                String id = request.submit(application -> {
                    preparing.remove(request);
                    return caller.answer("ready", application) && go.get(GO_SECONDS, TimeUnit.SECONDS);
                });
                caller.answer("submitted", id);
            } catch (Error | NotHere e) {
                // Of this JVM rather than of the request: memory, classes, what it does not do.
                caller.answer(go.getNow(false) ? "failed" : "refused", told(e));
            } catch (Throwable e) {
                caller.answer("failed", told(e));
            } finally {
                preparing.remove(request);
                caller.close();
            }
            return null;
        });
        boolean said = caller.says(in, "go");
        go.complete(said);
        // Nothing more is said; the end of the connection, from whichever side, ends this.
        if (said) {
            caller.says(in, "");
        }
        work.cancel(true);
    }

    private static long secondsOfTheOldest() {
        long now = System.nanoTime();
        return preparing.values().stream().mapToLong(begun -> (now - begun) / 1_000_000_000L).max().orElse(0);
    }

    /** What went wrong and its causes, a line for each, without stack traces. */
    private static String told(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable e = error; e != null; e = e.getCause() == e ? null : e.getCause()) {
            if (!(e instanceof UndeclaredThrowableException)) {
                text.append(e.toString().split("\n\\s*at ")[0]).append('\n');
            }
        }
        return text.substring(0, Math.min(text.length(), MAXIMUM_TEXT)).strip();
    }

    /** Something that spark-submit could do and this program does not. */
    private static final class NotHere extends RuntimeException {
        NotHere(String text) {
            super(text);
        }
    }

    private interface Permission {
        boolean toSubmit(String application) throws Exception;
    }

    /** One application to submit. */
    private record Request(
            String user, boolean asProxy, String program, Map<String, String> settings, String[] arguments) {

        static Request from(DataInputStream in) throws IOException {
            String user = in.readUTF();
            boolean asProxy = "proxy".equals(in.readUTF());
            String program = in.readUTF();
            Properties site = pairs(in);
            Properties settings = pairs(in);
            String[] arguments = new String[in.readUnsignedShort()];
            for (int i = 0; i < arguments.length; i++) {
                arguments[i] = in.readUTF();
            }
            if (!USER.matcher(user).matches()) {
                throw new IllegalArgumentException("not the name of a user");
            }
            if (UserGroupInformation.isSecurityEnabled() && !asProxy) {
                throw new IllegalArgumentException("with Kerberos it takes impersonation");
            }
            for (String name : site.stringPropertyNames()) {
                // A kernelspec may name another site than that of this program.
                String mine = System.getenv(name);
                if (!site.getProperty(name).equals(mine == null ? "" : mine)) {
                    throw new IllegalArgumentException("this submitter has another " + name);
                }
            }
            return new Request(user, asProxy, program, strings(settings), arguments);
        }

        private static Properties pairs(DataInputStream in) throws IOException {
            Properties found = new Properties();
            for (int left = in.readUnsignedShort(); left > 0; left--) {
                found.setProperty(in.readUTF(), in.readUTF());
            }
            return found;
        }

        /** Submits it as its user, if it may when everything is prepared; returns the application's id. */
        String submit(Permission permission) throws Exception {
            UserGroupInformation login = UserGroupInformation.getLoginUser();
            if (asProxy && login.isFromKeytab()) {
                login.checkTGTAndReloginFromKeytab();
            }
            UserGroupInformation ugi = asProxy
                    ? UserGroupInformation.createProxyUser(user, login)
                    : UserGroupInformation.createRemoteUser(user);
            try {
                return ugi.doAs((PrivilegedExceptionAction<String>) () -> submitHere(permission));
            } catch (UndeclaredThrowableException e) {
                throw e.getCause() instanceof Exception cause ? cause : e;
            } finally {
                FileSystem.closeAllForUGI(ugi);
            }
        }

        private String submitHere(Permission permission) throws IOException {
            SparkConf conf = new SparkConf(false);
            siteDefaults().forEach(conf::set);
            settings.forEach(conf::set);
            conf.set("spark.master", "yarn");
            conf.set("spark.submit.deployMode", "cluster");
            conf.set("spark.yarn.isPython", "true");
            conf.set("spark.app.submitTime", Long.toString(System.currentTimeMillis()));
            PreparedClient client = new PreparedClient(clientArguments(), conf, permission);
            try {
                client.submitApplication();
                return client.application;
            } finally {
                client.stop();
            }
        }

        private ClientArguments clientArguments() {
            String[] all = new String[4 + 2 * arguments.length];
            all[0] = "--primary-py-file";
            all[1] = program;
            all[2] = "--class";
            all[3] = "org.apache.spark.deploy.PythonRunner";
            for (int i = 0; i < arguments.length; i++) {
                all[4 + 2 * i] = "--arg";
                all[5 + 2 * i] = arguments[i];
            }
            return new ClientArguments(all);
        }

        /** spark-defaults.conf as it is now. */
        private static Map<String, String> siteDefaults() throws IOException {
            String folder = System.getenv("SPARK_CONF_DIR");
            Properties found = new Properties();
            Path file = folder == null ? null : Path.of(folder, "spark-defaults.conf");
            if (file != null && Files.exists(file)) {
                try (var reader = Files.newBufferedReader(file)) {
                    found.load(reader);
                }
            }
            found.keySet().removeIf(name -> !name.toString().startsWith("spark."));
            for (String name : FOR_SPARK_SUBMIT) {
                if (found.containsKey(name)) {
                    throw new NotHere("spark-defaults.conf has " + name + ", which only spark-submit heeds");
                }
            }
            return strings(found);
        }

        private static Map<String, String> strings(Properties properties) {
            Map<String, String> found = new ConcurrentHashMap<>();
            properties.stringPropertyNames().forEach(name -> found.put(name, properties.getProperty(name).strip()));
            return found;
        }
    }

    /** Spark's client, which asks once more right before it submits. */
    private static final class PreparedClient extends Client {
        private final Permission permission;
        private String application = "";

        PreparedClient(ClientArguments arguments, SparkConf conf, Permission permission) {
            super(arguments, conf, null);
            this.permission = permission;
        }

        @Override
        public ApplicationSubmissionContext createApplicationSubmissionContext(
                YarnClientApplication created, ContainerLaunchContext container) {
            ApplicationSubmissionContext context = super.createApplicationSubmissionContext(created, container);
            application = context.getApplicationId().toString();
            boolean may;
            try {
                may = permission.toSubmit(application);
            } catch (Exception e) {
                may = false;
            }
            if (!may) {
                throw new IllegalStateException("nobody waits for this application any more");
            }
            return context;
        }
    }

    /** The other end of a connection. Reading and writing at the same time needs the channel itself, not its streams. */
    private static final class Caller extends InputStream {
        private final SocketChannel channel;

        Caller(SocketChannel channel) {
            this.channel = channel;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            return channel.read(ByteBuffer.wrap(bytes, offset, length));
        }

        /** Waits for a word; any other one, and the end, is a no. */
        boolean says(DataInputStream in, String word) {
            try {
                return in.readUTF().equals(word);
            } catch (IOException e) {
                return false;
            }
        }

        /** Returns whether it could be sent. */
        synchronized boolean answer(String word, String text) {
            try {
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                DataOutputStream out = new DataOutputStream(bytes);
                out.writeUTF(word);
                out.writeUTF(text);
                for (ByteBuffer left = ByteBuffer.wrap(bytes.toByteArray()); left.hasRemaining(); ) {
                    channel.write(left);
                }
                return true;
            } catch (IOException e) {
                return false;
            }
        }

        @Override
        public void close() {
            try {
                channel.close();
            } catch (IOException e) {
                // closed it is
            }
        }
    }
}
