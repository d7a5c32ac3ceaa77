package lakehouse;

import io.delta.storage.S3SingleDriverLogStore;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.util.Arrays;
import java.util.Iterator;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Delta's log on S3, safe with any number of drivers: the store itself decides who makes a version.
 *
 * <p>Delta's own store for s3a looks whether the file is there and then writes it, so of two drivers that look before
 * either writes, the later one overwrites the other's commit and nobody is told. Here an entry is created with the
 * condition that nothing is there (If-None-Match), which the store checks as it makes the object. The second writer is
 * told that the file exists, and Delta tries the next version after looking for conflicts, as on any file system.
 *
 * <p>What is overwritten on purpose (_last_checkpoint), read and listed is Delta's own code.
 */
public class ConditionalCreateLogStore extends S3SingleDriverLogStore {

    private static final String CONDITION = "fs.option.create.conditional.overwrite";

    /** The store, or its client, has no conditional create: nothing may be committed through it. */
    public static final class NoConditionalCreateException extends IOException {
        private static final long serialVersionUID = 1L;

        NoConditionalCreateException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Stores that were seen to keep the condition, by bucket and endpoint: asked once by each driver. */
    private static final Set<String> KEEP_IT = ConcurrentHashMap.newKeySet();

    public ConditionalCreateLogStore(Configuration hadoopConf) {
        super(hadoopConf);
    }

    /**
     * Makes a file of the log from its lines.
     *
     * @throws FileAlreadyExistsException where the file is there and is not to be overwritten
     * @throws NoConditionalCreateException where the store, or its client, has no conditional create
     * @throws IOException where it was not made, and where nobody knows whether it was
     */
    @Override
    public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration hadoopConf)
            throws IOException {
        if (overwrite) {
            super.write(path, actions, true, hadoopConf);
            return;
        }
        FileSystem files = path.getFileSystem(hadoopConf);
        if (!files.hasPathCapability(path, CONDITION)) {
            throw new NoConditionalCreateException("the client of " + path + " has no conditional create, without"
                    + " which two drivers overwrite each other's commits: use hadoop-aws 3.4.2 or later, and do not set"
                    + " fs.s3a.create.conditional.enabled=false", null);
        }
        // Before the stream is opened: an error in the iterator must not leave half an entry to be published.
        byte[] entry = bytes(actions);
        commit(files, path, entry);
        String store = files.getUri() + " " + hadoopConf.get("fs.s3a.endpoint", "");
        if (!KEEP_IT.contains(store) && refusesToCreateAgain(files, path, entry)) {
            KEEP_IT.add(store);
        }
    }

    @Override
    public Boolean isPartialWriteVisible(Path path, Configuration hadoopConf) {
        return false; // an object appears whole or not at all
    }

    private static byte[] bytes(Iterator<String> actions) {
        ByteArrayOutputStream collected = new ByteArrayOutputStream();
        while (actions.hasNext()) {
            collected.writeBytes((actions.next() + "\n").getBytes(StandardCharsets.UTF_8));
        }
        return collected.toByteArray();
    }

    /**
     * Creates the file, or finds that it is ours already.
     *
     * <p>A failure does not say that nothing was written: when the reply to our request is lost, the client sends it
     * again and is told that the file exists, which is then our own. So after any failure what is there is read. Equal
     * bytes are ours, since every entry holds a random id of its transaction.
     */
    private static void commit(FileSystem files, Path path, byte[] entry) throws IOException {
        try {
            create(files, path, entry);
        } catch (IOException failure) {
            if (isUnsupported(failure)) {
                throw new NoConditionalCreateException("the object store of " + path + " refuses a conditional create"
                        + " (If-None-Match), without which two drivers overwrite each other's commits", failure);
            }
            byte[] held;
            try {
                held = read(files, path, entry.length + 1);
            } catch (FileNotFoundException absent) {
                // Not there yet, which is not never: the request may still be on its way. Delta must not try again.
                throw unknown(path, "and it is not there now", failure, absent);
            } catch (IOException unreadable) {
                throw unknown(path, "and it cannot be read", failure, unreadable);
            }
            if (!Arrays.equals(held, entry)) {
                FileAlreadyExistsException exists = new FileAlreadyExistsException(path.toString());
                exists.initCause(failure);
                throw exists;
            }
        }
    }

    private static void create(FileSystem files, Path path, byte[] entry) throws IOException {
        FSDataOutputStream stream = (FSDataOutputStream)
                files.createFile(path).create().recursive().overwrite(false).must(CONDITION, true).build();
        try {
            stream.write(entry);
        } catch (IOException | RuntimeException failure) {
            stream.abort(); // to close it would publish what was written so far
            throw failure;
        }
        stream.close();
    }

    /** The first bytes of a file, `most` at most. */
    private static byte[] read(FileSystem files, Path path, int most) throws IOException {
        try (FSDataInputStream stream = files.open(path)) {
            return stream.readNBytes(most);
        }
    }

    /**
     * Whether the store refuses to create a file that is there. A store that does not know the condition ignores it
     * and looks like a good one until two drivers meet, so it is asked: the same bytes once more, which change
     * nothing. False where it did not answer, which says nothing about the commit that was made before.
     */
    private static boolean refusesToCreateAgain(FileSystem files, Path path, byte[] entry) throws IOException {
        try {
            create(files, path, entry);
        } catch (IOException refused) {
            return isRefusal(refused);
        }
        throw new NoConditionalCreateException("the object store of " + path + " ignores the condition of a conditional"
                + " create (If-None-Match), without which two drivers overwrite each other's commits", null);
    }

    // By name, as these classes of s3a are no public ones.

    /** The condition was not met (412). */
    private static boolean isRefusal(IOException error) {
        return error instanceof org.apache.hadoop.fs.FileAlreadyExistsException
                || error.getClass().getSimpleName().equals("RemoteFileChangedException");
    }

    /** The store does not do such a thing (501). */
    private static boolean isUnsupported(IOException error) {
        return error.getClass().getSimpleName().equals("AWSUnsupportedFeatureException");
    }

    private static IOException unknown(Path path, String andNow, IOException failure, IOException whileReading) {
        IOException error = new IOException("whether " + path + " was made is not known, " + andNow, failure);
        error.addSuppressed(whileReading);
        return error;
    }
}
