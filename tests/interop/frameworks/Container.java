// MintmarkFilter in Tomcat, in front of a servlet that replies with the client id of the token. The only argument is the port.
import jakarta.servlet.http.*;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.*;

class Container {
    public static void main(String[] arguments) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(Files.createTempDirectory("tomcat").toString());
        tomcat.setHostname("127.0.0.1");
        tomcat.getConnector().setPort(Integer.parseInt(arguments[0]));
        Context context = tomcat.addContext("", null);
        FilterDef filter = new FilterDef();
        filter.setFilterName("mintmark");
        filter.setFilter(new MintmarkFilter(Verify.fromEnvironment(), "gst"));
        context.addFilterDef(filter);
        FilterMap map = new FilterMap();
        map.setFilterName("mintmark");
        map.addURLPattern("/*");
        context.addFilterMap(map);
        Tomcat.addServlet(context, "filings", new HttpServlet() {
            @Override
            protected void doGet(HttpServletRequest request, HttpServletResponse reply) throws IOException {
                reply.setContentType("application/json");
                Object client = ((Map<?, ?>) request.getAttribute("claims")).get("client_id");
                reply.getWriter().printf("{\"client_id\": \"%s\"}", client);
            }
        });
        context.addServletMappingDecoded("/filings", "filings");
        tomcat.start();
        tomcat.getServer().await();
    }
}
