// A filter for Spring Boot 3, Tomcat 10 and other Jakarta containers. Copy it and ../java/Verify.java into one of your
// packages, create one filter per process, and register it for the paths whose callers need the product. The tests run it in
// Tomcat, without Spring. In Spring:
//
//   @Bean
//   FilterRegistrationBean<MintmarkFilter> filings(@Value("${mintmark.issuer}") String issuer, @Value("${mintmark.audience}") String audience) {
//       var filter = new FilterRegistrationBean<>(new MintmarkFilter(new Verify(issuer, audience, false, true), "gst"));
//       filter.addUrlPatterns("/filings/*");
//       return filter;
//   }
import jakarta.servlet.*;
import jakarta.servlet.http.*;
import java.io.IOException;

/** Passes on requests whose token includes the product, with the attribute `claims`. Others get 401, 403 or 503. */
public final class MintmarkFilter extends HttpFilter {
    private static final long serialVersionUID = 1;
    private final transient Verify verifier;
    private final String product;

    public MintmarkFilter(Verify verifier, String product) {
        this.verifier = verifier;
        this.product = product;
    }

    @Override
    protected void doFilter(HttpServletRequest request, HttpServletResponse reply, FilterChain next) throws IOException, ServletException {
        try {
            request.setAttribute("claims", verifier.verify(Verify.bearer(request.getHeader("Authorization")), product));
        } catch (Verify.Refused refusal) {
            reply.setHeader(refusal.header, refusal.value);
            reply.sendError(refusal.status, refusal.getMessage());
            return;
        }
        next.doFilter(request, reply);
    }
}
