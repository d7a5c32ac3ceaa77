package lakehouse;

import jakarta.ws.rs.container.ContainerRequestContext;
import jakarta.ws.rs.container.ContainerRequestFilter;
import jakarta.ws.rs.container.PreMatching;
import jakarta.ws.rs.core.Response;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.connect.rest.ConnectRestExtension;
import org.apache.kafka.connect.rest.ConnectRestExtensionContext;

/**
 * Connect's REST interface tells how it is, and changes nothing.
 *
 * <p>It asks nobody who is there. Any account of the machine could post a connector that logs in to a server of its own
 * with the source's password. The one connector there is comes from a file when Connect starts, so nothing here needs to
 * change it.
 */
public final class ReadOnlyRest implements ConnectRestExtension {

    @Override
    public void register(ConnectRestExtensionContext context) {
        context.configurable().register(new OnlyLooks());
    }

    @Override
    public void configure(Map<String, ?> options) {}

    @Override
    public String version() {
        return "1";
    }

    @Override
    public void close() {}

    /** Refuses every request but those that only look, whatever it is for. */
    @PreMatching
    public static final class OnlyLooks implements ContainerRequestFilter {

        private static final Set<String> LOOKS = Set.of("GET", "HEAD");

        @Override
        public void filter(ContainerRequestContext request) {
            if (!LOOKS.contains(request.getMethod())) {
                request.abortWith(Response.status(Response.Status.METHOD_NOT_ALLOWED).build());
            }
        }
    }
}
