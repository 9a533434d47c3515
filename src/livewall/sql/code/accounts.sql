-- livewall: after foundation, identity
-- What whoever runs the machine does with accounts: staff roles, and the list of all.

CREATE FUNCTION public.grant_staff_role(p_profile_id uuid, p_role text) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO private.staff_roles (profile_id, role) VALUES (p_profile_id, p_role) ON CONFLICT DO NOTHING;
    SELECT private.account_json(p_profile_id);
END;
COMMENT ON FUNCTION public.grant_staff_role IS 'Makes somebody a moderator, finance or admin: Account.';
GRANT EXECUTE ON FUNCTION public.grant_staff_role TO service_role;

CREATE FUNCTION public.list_accounts() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'name', p.name, 'display_name', p.display_name, 'created_at', p.created_at, 'is_banned', private.is_banned(p.id),
        'roles', coalesce(
            (SELECT jsonb_agg(r.role ORDER BY r.role) FROM private.staff_roles AS r WHERE r.profile_id = p.id), '[]'))
        ORDER BY p.name), '[]')
    FROM public.profiles AS p
    WHERE NOT p.is_guest;
END;
COMMENT ON FUNCTION public.list_accounts IS 'Every account that is not a guest, for whoever runs the machine.';
GRANT EXECUTE ON FUNCTION public.list_accounts TO service_role;
