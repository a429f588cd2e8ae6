-- Database users for a node whose roles run apart: the worker owns the tables, acceptors and page use them, and
-- neither has rights on the engine's schema ("dbos"), whose rows decide what a worker does.
-- Once, as a superuser, in the node's database, before the first start; the worker is started first:
--   psql -d pctnode -f roles.sql
-- Then passwords (\password pctnode_worker ...), and for each role its own [database] url.
CREATE ROLE pctnode_worker LOGIN;
CREATE ROLE pctnode_scp LOGIN;
CREATE ROLE pctnode_web LOGIN;

DO $$ BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO pctnode_scp, pctnode_web', current_database());
  EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO pctnode_worker', current_database());
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO pctnode_worker;
GRANT USAGE ON SCHEMA public TO pctnode_scp, pctnode_web;
-- What the worker makes, in public and nowhere else; it makes the engine's schema as well, for itself.
ALTER DEFAULT PRIVILEGES FOR ROLE pctnode_worker IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO pctnode_scp, pctnode_web;
ALTER DEFAULT PRIVILEGES FOR ROLE pctnode_worker IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO pctnode_scp, pctnode_web;
